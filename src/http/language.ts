/** In which language a request is answered: `ui_locales` (OIDC Core §3.1.2.1), then what the browser prefers. */
import type { Context, Middleware } from "koa";
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

/** `ui_locales` on the way to a page of ours, in a link or a redirect. */
export function withLanguage(location: string, language: Language | undefined): string {
  if (language === undefined || /[?&]ui_locales=/.test(location)) return location;
  const [, page = "", fragment = ""] = /^([^#]*)(#.*)?$/s.exec(location) ?? [];
  return `${page}${page.includes("?") ? "&" : "?"}ui_locales=${language}${fragment}`;
}

/** Makes redirects that stay here carry along what was asked for. */
export function keepLanguage(issuer: string): Middleware {
  return async (ctx, next) => {
    await next();
    if (ctx.status < 300 || ctx.status >= 400) return;
    const location = ctx.response.get("Location") ?? ""; // 304 has none
    if (!(location.startsWith("/") || location.startsWith(`${issuer}/`))) return;
    ctx.set("Location", withLanguage(location, askedLanguage(ctx)));
  };
}

function spoken(uiLocales: unknown): Language | undefined {
  if (typeof uiLocales !== "string" || uiLocales.length > MAX_TAGS_LENGTH) return undefined;
  return firstSpoken(uiLocales.split(" "));
}
