/**
 * Pages: EJS templates, compiled once at start, strict about what they are given and escaping everything.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ejs from "ejs";
import type { Context } from "koa";
import type { Assets } from "./assets.ts";
import { CSRF_FIELD } from "./forms.ts";
import { askedLanguage, languageOf } from "./language.ts";
import type { Render, View } from "./pages.ts";
import { type PagePolicy, pageNonce, setPagePolicy } from "./security-headers.ts";
import { escapeHtml, wordingFor } from "./wording.ts";

export interface RendererOptions {
  /** The directory of the templates: `layout.ejs`, one file per view, and `parts/`. */
  views: string;
  issuer: string;
  /** The operator's name, on every page. */
  brand: { name: string };
  assets: Assets;
  /** The forgery token for a form in this answer; asked for only by pages that have one. */
  csrfToken: (ctx: Context) => string;
}

export type { Render };

type Template = (locals: object) => string;

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
};

/** Templates by their names: the path below the directory, without `.ejs`. */
function compileAll(directory: string): Map<string, Template> {
  const templates = new Map<string, Template>();
  for (const file of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ejs")) continue;
    const filename = join(directory, file);
    const source = readFileSync(filename, "utf8");
    templates.set(
      file.slice(0, -".ejs".length).replaceAll("\\", "/"),
      ejs.compile(source, { filename, strict: true, localsName: "page", escape: escapeHtml }),
    );
  }
  return templates;
}

function pick(templates: Map<string, Template>, name: string): Template {
  const template = templates.get(name);
  if (template === undefined) throw new Error(`no template "${name}"`);
  return template;
}

/**
 * Compiles the templates and gives the function that answers with a page.
 * @throws {Error} naming the template, when one does not compile
 */
export function createRenderer(options: RendererOptions): Render {
  const { issuer, brand, assets } = options;
  const pages = compileAll(options.views);
  const layout = pick(pages, "layout");
  const constant = {
    brand,
    issuer,
    issuerHost: new URL(issuer).host,
    stylesheet: assets.url("grantor.css"),
    script: assets.url("comfort.js"),
    icon: assets.url("icon.svg"),
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

  return (ctx, view, model) => {
    let title: string | undefined;
    const uiLocales = askedLanguage(ctx);
    const shared = {
      ...constant,
      /** What forms carry along, so that the next page speaks the same language. */
      uiLocales,
      /** The same for a link: a path of this server. */
      to: (path: string) => (uiLocales === undefined ? path : `${path}${path.includes("?") ? "&" : "?"}ui_locales=${uiLocales}`),
      ...wordingFor(languageOf(ctx)),
      /** Called once by each view: its title, without the operator's name. */
      title: (text: string) => {
        title = text;
      },
      csrf: () => options.csrfToken(ctx),
      nonce: pageNonce(ctx),
      /** A piece of a page, from `parts/`, with facts of its own. */
      part: (name: string, facts: object): string => pick(pages, `parts/${name}`)({ ...shared, ...facts }),
    };
    const body = pick(pages, view)({ ...shared, ...model });
    if (title === undefined) throw new Error(`the view "${view}" sets no title`);
    const html = layout({ ...shared, view, title, body });
    setPagePolicy(ctx, POLICIES[view] ?? OWN_PAGE);
    ctx.type = "text/html; charset=utf-8";
    ctx.body = html;
  };
}

/** The host of a URL for people to read, or undefined when it is none. */
function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}
