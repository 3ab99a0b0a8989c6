/**
 * An example of a relying party: a web application that lets people sign in with OpenID Connect and calls an API in their name. It shows
 * what there is to do, and in which order: sign in, call, refresh, sign out, and hear of a sign-out elsewhere.
 */
import { readFileSync } from "node:fs";
import Router from "@koa/router";
import parseBody from "co-body";
import Koa, { type Context, type Middleware } from "koa";
import { AuthorizationResponseError } from "openid-client";
import { AuthorizationServer, SignInEndedError } from "./authorization-server.ts";
import { createLogoutTokenVerifier } from "./logout-token.ts";
import { messagePage, signedInPage, welcomePage } from "./pages.ts";
import { remember, type Session, Sessions, type SignedIn } from "./sessions.ts";

export interface RelyingPartyOptions {
  /** Where it is: the beginning of its registered addresses. */
  url: string;
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** The resource server that it calls: its address, and its identifier. */
  api: string;
}

/** Addresses that the application registers with the authorization server, below its own. */
export const REDIRECT_PATH = "/callback";
export const POST_LOGOUT_PATH = "/signed-out";
export const BACKCHANNEL_LOGOUT_PATH = "/backchannel-logout";

const COOKIE = "example_session";
const STYLE = readFileSync(new URL("style.css", import.meta.url), "utf8");

const CALLS: Readonly<Record<string, { method: string; path: string; body?: string }>> = {
  read: { method: "GET", path: "/things" },
  write: { method: "POST", path: "/things", body: JSON.stringify({ name: "A thing from the example application" }) },
  report: { method: "GET", path: "/admin/report" },
};

export function createRelyingParty(options: RelyingPartyOptions): Koa {
  const { url, issuer, clientId, clientSecret, api } = options;
  const server = new AuthorizationServer({
    issuer,
    clientId,
    clientSecret,
    redirectUri: url + REDIRECT_PATH,
    postLogoutRedirectUri: url + POST_LOGOUT_PATH,
    resource: api,
    resourceScope: "things:read things:write",
  });
  const verifyLogoutToken = createLogoutTokenVerifier({
    issuer,
    clientId,
    jwksUri: async () => new URL((await server.configuration()).serverMetadata().jwks_uri as string),
  });
  const sessions = new Sessions();
  const router = new Router();

  router.get("/", (ctx) => {
    const session = current(ctx);
    const notice = takeNotice(session);
    ctx.body = session?.signedIn === undefined ? welcomePage(issuer, notice) : signedInPage(session.signedIn, api, notice, Date.now());
  });

  router.get("/sign-in", async (ctx) => {
    const { url: there, state, pending } = await server.beginSignIn();
    const session = current(ctx) ?? begin(ctx);
    remember(session, state, pending);
    seeOther(ctx, there.href);
  });

  router.get(REDIRECT_PATH, async (ctx) => {
    const session = current(ctx);
    const state = typeof ctx.query.state === "string" ? ctx.query.state : "";
    const pending = session?.pending.get(state);
    // Not begun in this browser, or finished already: whoever made this link wants somebody signed in as somebody else (login CSRF).
    if (session === undefined || pending === undefined) return message(ctx, 400, "This sign-in was not begun here", "Start it again.");
    session.pending.delete(state);
    const signedIn = await server.finishSignIn(new URL(ctx.url, url), state, pending);
    sessions.end(session);
    begin(ctx, signedIn);
    seeOther(ctx, "/");
  });

  router.post("/api", fromOurPages, async (ctx) => {
    const { call = "" } = await parseBody.form(ctx.req, { limit: "1kb" });
    const { method, path, body } = CALLS[call] ?? ctx.throw(400);
    await whileSignedIn(ctx, async (signedIn) => {
      const answer = await fetch(api + path, {
        method,
        headers: { Authorization: `Bearer ${await server.apiToken(signedIn)}`, ...(body && { "Content-Type": "application/json" }) },
        ...(body && { body }),
      });
      signedIn.answer = {
        request: `${method} ${path}`,
        status: `${answer.status} ${answer.statusText}`,
        challenge: answer.headers.get("WWW-Authenticate") ?? undefined,
        body: await answer.text(),
      };
    });
  });

  router.post("/refresh", fromOurPages, (ctx) => whileSignedIn(ctx, (signedIn) => server.refresh(signedIn)));

  router.post("/sign-out", fromOurPages, async (ctx) => {
    const session = current(ctx);
    if (session?.signedIn === undefined) return seeOther(ctx, "/");
    sessions.end(session); // here at once, whatever happens there
    seeOther(ctx, (await server.signOutUrl(session.signedIn)).href);
  });

  router.get(POST_LOGOUT_PATH, (ctx) => message(ctx, 200, "You are signed out", "Here, and at the authorization server."));

  // Called by the authorization server, not by a browser: no cookie comes along, the logout token alone says who it is.
  router.post(BACKCHANNEL_LOGOUT_PATH, async (ctx) => {
    ctx.set("Cache-Control", "no-store");
    const { logout_token: token = "" } = await parseBody.form(ctx.req, { limit: "16kb" });
    try {
      const ended = sessions.endBy(await verifyLogoutToken(String(token)));
      console.log(`Example application: back-channel logout received, ${ended} of its sessions ended`);
      ctx.body = "";
      ctx.status = 200;
    } catch (error) {
      console.warn(`Example application: logout token refused: ${(error as Error).message}`);
      ctx.status = 400;
      ctx.body = { error: "invalid_request", error_description: "the logout token is not valid" };
    }
  });

  router.get("/style.css", (ctx) => {
    ctx.type = "css";
    ctx.set("Cache-Control", "max-age=300");
    ctx.body = STYLE;
  });

  const app = new Koa();
  app.use(headers).use(handleErrors).use(router.routes()).use(router.allowedMethods());
  return app;

  function current(ctx: Context): Session | undefined {
    return sessions.find(ctx.cookies.get(COOKIE));
  }

  function begin(ctx: Context, signedIn?: SignedIn): Session {
    const session = sessions.create(signedIn);
    const secure = url.startsWith("https:");
    ctx.cookies.secure = secure; // the proxy in front of us speaks TLS
    // Lax: the browser sends it when it comes back from the authorization server, and not with the forms of other sites.
    ctx.cookies.set(COOKIE, session.id, { httpOnly: true, sameSite: "lax", secure, overwrite: true, expires: new Date(session.expiresAt) });
    return session;
  }

  /** Does something for the person who is signed in, and goes back to the start page. Their session ends when the server says that it has. */
  async function whileSignedIn(ctx: Context, work: (signedIn: SignedIn) => Promise<unknown>): Promise<void> {
    const session = current(ctx);
    if (session?.signedIn === undefined) return seeOther(ctx, "/");
    try {
      await work(session.signedIn);
    } catch (error) {
      if (!(error instanceof SignInEndedError)) throw error;
      sessions.end(session);
      begin(ctx).notice = "Your sign-in has ended. Sign in again.";
    }
    seeOther(ctx, "/");
  }

  /** A form of another site must not act in a person's name (CSRF). Browsers say where a POST comes from. */
  function fromOurPages(ctx: Context, next: () => Promise<void>): Promise<void> {
    if (ctx.get("Origin") !== url) ctx.throw(403);
    return next();
  }

  function headers(ctx: Context, next: () => Promise<void>): Promise<void> {
    // The form of "Sign out" ends at the authorization server, and is followed there.
    ctx.set(
      "Content-Security-Policy",
      `default-src 'none'; style-src 'self'; img-src data:; form-action 'self' ${issuer}; base-uri 'none'; frame-ancestors 'none'`,
    );
    ctx.set("Cache-Control", "no-store");
    ctx.set("X-Content-Type-Options", "nosniff");
    ctx.set("Referrer-Policy", "same-origin");
    return next();
  }
}

const handleErrors: Middleware = async (ctx, next) => {
  try {
    await next();
    if (ctx.status === 404 && ctx.body === undefined) message(ctx, 404, "There is no such page", "Go back to the start.");
  } catch (error) {
    if (error instanceof AuthorizationResponseError)
      return message(ctx, 400, "You were not signed in", `The authorization server answered: ${error.error}.`);
    const { status = 500 } = error as { status?: number };
    if (status < 500) return message(ctx, status, "This did not work", "Go back and try again.");
    console.error(error);
    message(ctx, 502, "This did not work", "The authorization server or the API did not answer as expected. Try again in a moment.");
  }
};

function message(ctx: Context, status: number, title: string, text: string): void {
  ctx.status = status;
  ctx.body = messagePage(title, text);
}

function takeNotice(session: Session | undefined): string | undefined {
  const notice = session?.notice;
  if (session !== undefined) delete session.notice;
  return notice;
}

function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
