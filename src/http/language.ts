/** In which language a request is answered: `ui_locales` (OIDC Core §3.1.2.1), then what the browser prefers. */
import type { Context } from "koa";
import { firstSpoken, LANGUAGES, type Language } from "../i18n/languages.ts";

const MAX_TAGS_LENGTH = 256;

/** Says which `ui_locales` the step belongs to, where the request itself does not carry them. */
export function useUiLocales(ctx: Context, uiLocales: unknown): void {
  const language = spoken(uiLocales);
  if (language !== undefined) ctx.state.language = language;
}

export function languageOf(ctx: Context): Language {
  ctx.state.language ??=
    spoken((ctx.oidc as { params?: { ui_locales?: unknown } } | undefined)?.params?.ui_locales) ??
    spoken(ctx.query.ui_locales) ??
    ((ctx.acceptsLanguages([...LANGUAGES]) || LANGUAGES[0]) as Language);
  return ctx.state.language as Language;
}

function spoken(uiLocales: unknown): Language | undefined {
  if (typeof uiLocales !== "string" || uiLocales.length > MAX_TAGS_LENGTH) return undefined;
  return firstSpoken(uiLocales.split(" "));
}
