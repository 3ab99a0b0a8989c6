/** In which language a request is answered: `ui_locales` (OIDC Core §3.1.2.1), then what the browser prefers. */
import type { Context } from "koa";
import { firstSpoken, LANGUAGES, type Language } from "../i18n/languages.ts";

const MAX_TAGS_LENGTH = 256;

/** Says which `ui_locales` the step belongs to, where the request itself does not carry them. */
export function useUiLocales(ctx: Context, uiLocales: unknown): void {
  ctx.state.uiLocales ??= spoken(uiLocales);
}

/** What was asked for by `ui_locales`; pages carry it along in their forms and links. Undefined: the browser's preference counts. */
export function askedLanguage(ctx: Context): Language | undefined {
  const { params, body } = (ctx.oidc ?? {}) as { params?: UiLocales; body?: UiLocales };
  return ctx.state.uiLocales ?? spoken(params?.ui_locales) ?? spoken(body?.ui_locales) ?? spoken(ctx.query.ui_locales);
}

interface UiLocales {
  ui_locales?: unknown;
}

export const languageOf = (ctx: Context): Language =>
  askedLanguage(ctx) ?? ((ctx.acceptsLanguages([...LANGUAGES]) || LANGUAGES[0]) as Language);

function spoken(uiLocales: unknown): Language | undefined {
  if (typeof uiLocales !== "string" || uiLocales.length > MAX_TAGS_LENGTH) return undefined;
  return firstSpoken(uiLocales.split(" "));
}
