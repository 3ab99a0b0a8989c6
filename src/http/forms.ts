/**
 * Forms that people post to us: reading them within limits, and making sure that they come from a page of ours.
 *
 * Two checks against forgery: where the browser says that the post comes from, and a token in the form that fits a cookie
 * (double submit, signed: a cookie planted by somebody else fits no form). The token needs no session, so that it works before sign-in.
 *
 * Each cookie has a name of its own. A browser without any that opens two pages at once gets two, and both forms fit; under one name the
 * later answer would make the earlier page's form stale. Whoever has one gets no further ones.
 */
import { randomBytes } from "node:crypto";
import parse from "co-body";
import type { Context, Middleware } from "koa";
import { text } from "../i18n/messages.ts";
import { cookieAttributes, cookieName, PreparedKeygrip } from "./cookies.ts";
import { HttpProblem } from "./errors.ts";
import { useUiLocales } from "./language.ts";

/** The name of the hidden field. */
export const CSRF_FIELD = "csrf";

/** As much as the engine takes itself. */
const BODY_LIMIT = "56kb";
const MAX_FIELDS = 200;
/** Characters of a cookie's value that its name ends in. */
const COOKIE_LABEL = 4;
/** Of a browser's cookies, how many are tried against a form: more pages are not opened at once. */
const MAX_COOKIES = 16;

export interface FormOptions {
  issuer: string;
  https: boolean;
  /** HMAC keys: the first signs, all are accepted. */
  keys: readonly Buffer[];
}

export interface Forms {
  /** The token for a form in this answer; sets the cookie when the browser has none. */
  token(ctx: Context): string;
  /**
   * What a browser that was shown a form of ours is known by until it closes, the oldest first: random values that open nothing. Of tabs that
   * were shown one each before any answer reached the browser, all bring the values of all.
   */
  marks(ctx: Context): readonly string[];
  /** Middleware: reads the form, refuses it unless it comes from a page of ours, and gives it as `ctx.state.form`. */
  verifyForm: Middleware;
}

/** Builds the form protection. */
export function createForms(options: FormOptions): Forms {
  const place = { https: options.https };
  const cookie = cookieName("grantor_csrf", place);
  const attributes = { ...cookieAttributes(place), signed: false };
  const keygrip = new PreparedKeygrip(options.keys);
  const cookies = new RegExp(`(?:^|;)\\s*${cookie}_[\\w-]{${COOKIE_LABEL}}=([\\w-]{22})(?=;|$)`, "g");

  const cookieValues = (ctx: Context): string[] =>
    [...ctx.get("Cookie").matchAll(cookies)].slice(0, MAX_COOKIES).map(([, value]) => value as string);

  const issued = new WeakMap<Context, string>();

  return {
    token(ctx) {
      let value = issued.get(ctx) ?? cookieValues(ctx)[0];
      if (value === undefined) {
        value = randomBytes(16).toString("base64url");
        issued.set(ctx, value);
        ctx.cookies.set(`${cookie}_${value.slice(0, COOKIE_LABEL)}`, value, attributes);
      }
      return keygrip.sign(`csrf:${value}`);
    },

    marks: cookieValues,

    async verifyForm(ctx, next) {
      const form = await readForm(ctx);
      useUiLocales(ctx, form.ui_locales);
      delete form.ui_locales;
      requireSameOrigin(ctx, options.issuer);
      const token = form[CSRF_FIELD] ?? "";
      if (!cookieValues(ctx).some((value) => keygrip.verify(`csrf:${value}`, token))) {
        throw new HttpProblem(403, "stale_form", text("errors:stale_form.message"), {
          title: text("errors:stale_form.title"),
          advice: text("errors:stale_form.advice"),
        });
      }
      delete form[CSRF_FIELD];
      ctx.state.form = form;
      return next();
    },
  };
}

/**
 * Reads an urlencoded body.
 * @throws {HttpProblem} 415 for another content type or charset, 413 past 56 kB, 400 for what is malformed or given twice
 */
async function readForm(ctx: Context): Promise<Record<string, string>> {
  requireUrlEncoded(ctx);
  let body: string;
  try {
    body = await parse.text(ctx.req, { limit: BODY_LIMIT, encoding: "utf8" });
  } catch (cause) {
    const { status } = cause as { status?: number };
    if (status === 413) {
      // What is left of the body stays unread.
      throw new HttpProblem(413, "too_large", text("errors:form.too_large"), { headers: { Connection: "close" } });
    }
    throw new HttpProblem(status === 415 ? 415 : 400, "invalid_request", text("errors:form.incomplete"), { cause });
  }
  const form: Record<string, string> = Object.create(null);
  let count = 0;
  for (const [name, value] of new URLSearchParams(body)) {
    if (name in form) throw new HttpProblem(400, "invalid_request", text("errors:form.repeated"));
    // PostgreSQL cannot store it, and no keyboard types it.
    if (value.includes("\0") || name.includes("\0")) throw new HttpProblem(400, "invalid_request", text("errors:form.character"));
    if (++count > MAX_FIELDS) throw new HttpProblem(400, "invalid_request", text("errors:form.too_many_fields"));
    form[name] = value;
  }
  return form;
}

function requireUrlEncoded(ctx: Context): void {
  const [type = "", ...parameters] = ctx.get("Content-Type").split(";");
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/i.exec(parameter)?.[1])
    .find((value) => value !== undefined);
  if (type.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
    throw new HttpProblem(415, "unsupported_media_type", text("errors:form.urlencoded"));
  }
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new HttpProblem(415, "unsupported_media_type", text("errors:form.utf8"));
  }
}

/**
 * Browsers say where a post comes from. Our pages send no referrer, so their `Origin` is `null`, and `Sec-Fetch-Site` decides;
 * a browser without it is left to the token.
 */
function requireSameOrigin(ctx: Context, issuer: string): void {
  const site = ctx.get("Sec-Fetch-Site");
  const origin = ctx.get("Origin");
  const foreignSite = site !== "" && site !== "same-origin" && site !== "none";
  const foreignOrigin = origin !== "" && origin !== "null" && origin !== issuer;
  if (foreignSite || foreignOrigin) {
    throw new HttpProblem(403, "cross_site_form", text("errors:cross_site_form.message"), {
      title: text("errors:cross_site_form.title"),
      advice: text("errors:cross_site_form.advice"),
    });
  }
}
