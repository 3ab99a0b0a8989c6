/**
 * Security headers. Every answer gets a small constant set, made once; a page adds its own policy when it is rendered.
 *
 * koa-helmet is not used: it walks a chain of a dozen functions and writes as many headers on every request, token requests
 * included, where all but three matter to pages alone (and its policy would have to differ by page anyway).
 */
import { randomBytes } from "node:crypto";
import type { Context, Middleware } from "koa";

/**
 * The policy of everything that is not one of our pages. The empty `script-src` allows no script, and is there so that the engine can add the
 * hash of the script of its pages that post by themselves: by that they are known and replaced (oidc/posted-forms.ts).
 */
const ANSWER_POLICY = "default-src 'none'; script-src; base-uri 'none'; frame-ancestors 'none'";

/** A year, in seconds. Subdomains are not the issuer's to decide about. */
const STRICT_TRANSPORT_SECURITY = `max-age=${365 * 24 * 60 * 60}`;

/** Set on every answer; metadata, keys and assets replace `Cache-Control` by their own. */
export function securityHeaders(options: { https: boolean }): Middleware {
  const constant: [string, string][] = [
    ["Content-Security-Policy", ANSWER_POLICY],
    ["Cache-Control", "no-store"],
    ["X-Content-Type-Options", "nosniff"],
    ["Referrer-Policy", "no-referrer"],
  ];
  if (options.https) constant.push(["Strict-Transport-Security", STRICT_TRANSPORT_SECURITY]);
  return (ctx, next) => {
    for (const [name, value] of constant) ctx.res.setHeader(name, value);
    return next();
  };
}

export interface PagePolicy {
  /** The page's form may end at a client (Chromium applies `form-action` to the whole chain of redirects): `form-action` is left out. */
  formMayLeave: boolean;
  /** The page may be shown in a window that a client opened and watches: `Cross-Origin-Opener-Policy` would cut it off. */
  popup: boolean;
  /** The page's script reads from this server, and from nowhere else. */
  fetches?: boolean;
}

const PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/** The script nonce of this answer, made when first asked for. 128 bits. */
export function pageNonce(ctx: Context): string {
  const state = ctx.state as { nonce?: string };
  state.nonce ??= randomBytes(16).toString("base64");
  return state.nonce;
}

/** Gives the answer the policy of a page. Call it again to change the policy of the same answer: the nonce stays. */
export function setPagePolicy(ctx: Context, policy: PagePolicy): void {
  const formAction = policy.formMayLeave ? "" : "; form-action 'self'";
  const connect = policy.fetches ? "; connect-src 'self'" : "";
  ctx.set(
    "Content-Security-Policy",
    `default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'nonce-${pageNonce(ctx)}'; base-uri 'none'; frame-ancestors 'none'${formAction}${connect}`,
  );
  ctx.set("X-Frame-Options", "DENY");
  ctx.set("Permissions-Policy", PERMISSIONS_POLICY);
  if (!policy.popup) ctx.set("Cross-Origin-Opener-Policy", "same-origin");
}
