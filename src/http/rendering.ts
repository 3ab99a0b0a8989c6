/** Pages: a view in the layout, in the reader's language and in the colours of whoever asks. */
import type { Context } from "koa";
import type { Assets } from "./assets.ts";
import { CSRF_FIELD } from "./forms.ts";
import { askedLanguage, languageOf, withLanguage } from "./language.ts";
import type { ClientView } from "./page-parts.ts";
import type { Render, View } from "./pages.ts";
import { type PagePolicy, pageNonce, setPagePolicy } from "./security-headers.ts";
import { loadTemplates } from "./templates.ts";
import { escapeHtml, wordingFor } from "./wording.ts";

/** How an operator presents itself, on every page. */
export interface Brand {
  readonly name: string;
  /** `#rrggbb`, in lower case. */
  readonly color?: string | undefined;
  readonly privacyUrl?: string | undefined;
  readonly termsUrl?: string | undefined;
  readonly supportUrl?: string | undefined;
}

export interface RendererOptions {
  /** The directory of the templates. */
  views: string;
  /** A directory with templates that take the places of ours. */
  overrides?: string | undefined;
  issuer: string;
  brand: Brand;
  assets: Assets;
  /** The forgery token for a form in this answer; asked for only by pages that have one. */
  csrfToken: (ctx: Context) => string;
}

export type { Render };

const OWN_PAGE: PagePolicy = { formMayLeave: false, popup: false };
const FLOW_PAGE: PagePolicy = { formMayLeave: true, popup: true };

/** Pages inside a client's flow: their forms may end at the client, and they may stand in a window that it opened. */
const POLICIES: Partial<Record<View, PagePolicy>> = {
  login: { ...FLOW_PAGE, fetches: true },
  "second-factor": { ...FLOW_PAGE, fetches: true },
  "second-factor-set-up": FLOW_PAGE,
  "second-factor-missing": FLOW_PAGE,
  "recovery-codes": { formMayLeave: false, popup: true },
  "recovery-code-used": { formMayLeave: false, popup: true },
  consent: FLOW_PAGE,
  logout: FLOW_PAGE,
  "passing-on": FLOW_PAGE,
  "deletion-pending": FLOW_PAGE,
  "verify-email": FLOW_PAGE,
  "sign-up": FLOW_PAGE,
  "check-your-mail": { formMayLeave: false, popup: true },
  "email-verified": { formMayLeave: false, popup: true },
  "reset-password": { formMayLeave: false, popup: true },
  "new-password": { formMayLeave: false, popup: true },
  "password-set": { formMayLeave: false, popup: true },
  "signed-out": { formMayLeave: false, popup: true },
  error: { formMayLeave: false, popup: true },
  inspector: { ...OWN_PAGE, fetches: true },
  "account/passkeys": { ...OWN_PAGE, fetches: true },
  "apps/new-app": { ...OWN_PAGE, fetches: true },
  "apps/addresses": { ...OWN_PAGE, fetches: true },
  "apps/look": { ...OWN_PAGE, fetches: true },
  "apps/keys": { ...OWN_PAGE, fetches: true },
  // Its form ends at another provider.
  "account/providers": { formMayLeave: true, popup: false },
};

/**
 * Compiles the templates and gives the function that answers with a page.
 * @throws {Error} naming the template, when one cannot be used
 */
export function createRenderer(options: RendererOptions): Render {
  const { issuer, brand, assets } = options;
  const template = loadTemplates(options.views, options.overrides);
  const layout = template("layout");
  const constant = {
    brand,
    issuer,
    issuerHost: new URL(issuer).host,
    stylesheet: assets.url("grantor.css"),
    script: assets.url("comfort.js"),
    logo: assets.logo,
    /** The URL of what one page alone needs. */
    asset: (name: string) => assets.url(name),
    csrfField: CSRF_FIELD,
    host: hostOf,
    /** Markup for a link in a text. */
    link: (href: string, { newTab = false } = {}): [string, string] => [
      `<a href="${escapeHtml(href)}"${newTab ? ' target="_blank" rel="noopener"' : ""}>`,
      "</a>",
    ],
  };

  /** A page that an application asks for wears its colour. */
  function accentFor(model: object): string | undefined {
    const color = (model as { client?: ClientView | undefined }).client?.color ?? brand.color;
    return color === undefined ? undefined : assets.accent(color);
  }

  return (ctx, view, model) => {
    let title: string | undefined;
    const uiLocales = askedLanguage(ctx);
    const shared = {
      ...constant,
      /** What forms carry along, so that the next page speaks the same language. */
      uiLocales,
      /** The same for a link: a path of this server. */
      to: (path: string) => withLanguage(path, uiLocales),
      ...wordingFor(languageOf(ctx), (model as { zone?: string | undefined }).zone),
      /** Called once by each view: its title, without the operator's name. */
      title: (text: string) => {
        title = text;
      },
      csrf: () => options.csrfToken(ctx),
      nonce: pageNonce(ctx),
      /** A piece of a page, from `parts/`, with facts of its own. */
      part: (name: string, facts: object): string => template(`parts/${name}`)({ ...shared, ...facts }),
    };
    const body = template(view)({ ...shared, ...model });
    if (title === undefined) throw new Error(`the view "${view}" sets no title`);
    const html = layout({ ...shared, view, title, body, accent: accentFor(model) });
    setPagePolicy(ctx, POLICIES[view] ?? OWN_PAGE);
    ctx.type = "text/html; charset=utf-8";
    ctx.body = html;
  };
}

/** The host of a URL for people to read, or undefined when it is none. */
function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}
