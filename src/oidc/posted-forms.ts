/**
 * Forms that the browser sends on by itself, in our page and the reader's language: an answer to an application (OAuth 2.0 Form Post Response
 * Mode), and steps from one address of this server to the next. The engine has a page of its own for them, in English and without a style.
 */
import type { Context, Middleware } from "koa";
import type { KoaContextWithOIDC, Provider } from "oidc-provider";
import { engineForm } from "./device-pages.ts";
import type { EnginePages, PostedForm } from "./ports.ts";

type ResponseMode = Parameters<Provider["registerResponseMode"]>;

/** The engine (9.13) registers its own response modes with its public method too. */
export function postingProvider(Base: typeof Provider, pages: Pick<EnginePages, "post">): typeof Provider {
  const answer: ResponseMode[1] = (ctx, redirectUri, payload) => {
    const fields = Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, String(value)]));
    if (![200, 400, 500].includes(ctx.status)) ctx.status = "error" in fields ? 400 : 200;
    pages.post(ctx, { action: redirectUri, fields, toClient: true });
  };
  return class PostingProvider extends Base {
    override registerResponseMode(...[name, handler]: ResponseMode): void {
      super.registerResponseMode(name, name === "form_post" ? answer : handler);
    }
  };
}

/** The engine adds its script to the policy by its hash: the sign that it has answered with its own page. */
const OWN_PAGE = /'sha256-/;

/** Replaces the engine's page where it has the browser take a step here. Comes right around the engine. */
export function postedForms(pages: Pick<EnginePages, "post">): Middleware {
  return async (ctx, next) => {
    await next();
    if (!OWN_PAGE.test(ctx.response.get("Content-Security-Policy"))) return;
    const form = stepOf(ctx as unknown as KoaContextWithOIDC);
    if (form !== undefined) pages.post(ctx as Context, form);
  };
}

function stepOf(ctx: KoaContextWithOIDC): PostedForm | undefined {
  switch (ctx.oidc?.route) {
    // RFC 8628 §3.3.1: the code came with the address.
    case "code_verification": {
      const { action, xsrf } = engineForm(ctx, "code_verification");
      return { action, fields: { xsrf, user_code: String(ctx.oidc.params?.user_code) }, toClient: false };
    }
    // Nobody is signed in who could be asked; or somebody else has signed in, and the session before ends first.
    case "end_session":
    case "resume":
    case "device_resume": {
      const { action, xsrf } = engineForm(ctx, "end_session_confirm");
      return { action, fields: { xsrf, logout: "yes" }, toClient: false };
    }
    default:
      return undefined;
  }
}
