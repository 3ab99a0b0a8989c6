import { text } from "../i18n/messages.ts";
import type { Fault } from "./account-error.ts";

/** RFC 5321 §4.5.3.1.3 less its two angle brackets. */
const MAX_LENGTH = 254;

/** The rule of `<input type="email">`, with letters of every script (RFC 6531). */
const ADDRESS =
  /^[\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}@[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?(?:\.[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?)*$/u;

/**
 * The one form in which an address is stored, compared and written to: trimmed, NFC, lower case. Mail goes to this form alone, so that two
 * spellings that fold together can never be two mailboxes here.
 */
export function normalizeEmail(typed: string): string {
  return typed.trim().slice(0, 1024).normalize("NFC").toLowerCase().normalize("NFC");
}

/** Faults of a normalised address; empty when it can be used. */
export function checkEmail(email: string): Fault[] {
  if (email === "") return [{ field: "email", message: text("faults:email_missing") }];
  if (email.length > MAX_LENGTH || !ADDRESS.test(email)) {
    return [{ field: "email", message: text("faults:email_malformed") }];
  }
  return [];
}
