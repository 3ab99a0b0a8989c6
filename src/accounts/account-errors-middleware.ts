import type { Context, Middleware } from "koa";
import { HttpProblem } from "../http/errors.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { type Text, text } from "../i18n/messages.ts";
import { AccountError, type AccountErrorCode, wordsOf } from "./account-error.ts";

const TITLES: Partial<Record<AccountErrorCode, { title: Text; advice: Text }>> = {
  link_invalid: { title: text("errors:link_invalid.title"), advice: text("errors:nothing_changed") },
  sign_up_closed: { title: text("errors:sign_up_closed.title"), advice: text("errors:sign_up_closed.advice") },
  too_many_attempts: { title: text("errors:too_many_attempts.title"), advice: text("errors:nothing_changed") },
};

/** Gives what this room throws its place on the error page: heading, sentence, `Retry-After`. */
export function accountErrors(): Middleware {
  return async (_ctx, next) => {
    try {
      await next();
    } catch (error) {
      if (!(error instanceof AccountError)) throw error;
      const { status, code, words, headers, cause } = error;
      throw new HttpProblem(status, code, words, { ...TITLES[code], headers, ...(cause === undefined ? {} : { cause }) });
    }
  };
}

/** What the person can put right in the form; anything else is thrown on. Sets the status. */
export function showBesideForm(ctx: Context, error: unknown): FormErrors {
  if (!(error instanceof AccountError)) throw error;
  const { code, words, faults, headers, status } = error;
  if (code !== "invalid_input" && code !== "email_taken" && code !== "too_many_attempts") throw error;
  ctx.status = status;
  ctx.set(headers);
  if (faults.length === 0) return code === "email_taken" ? { fields: { email: words } } : { form: words };
  return { fields: Object.fromEntries(faults.map((fault) => [fault.field, wordsOf(fault)])) };
}
