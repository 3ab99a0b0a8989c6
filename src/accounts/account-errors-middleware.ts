import type { Middleware } from "koa";
import { HttpProblem } from "../http/errors.ts";
import type { Words } from "../i18n/messages.ts";
import { AccountError, type AccountErrorCode } from "./account-error.ts";

const TITLES: Partial<Record<AccountErrorCode, { title: Words; advice: Words }>> = {
  link_invalid: { title: "This link does not work any more", advice: "Nothing was changed." },
  sign_up_closed: { title: "Signing up is not open to everybody here", advice: "If you have an account, sign in." },
  too_many_attempts: { title: "Too many tries", advice: "Nothing was changed." },
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
