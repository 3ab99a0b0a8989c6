/** Which records of the audit log are about a person's security, and what they are called; the words are `events:kinds.<event>`. */
import { type Text, text } from "../i18n/messages.ts";
import type { PastEvent } from "../observability/audit-trail.ts";

/** Dots become underscores in the texts' names. */
export const SECURITY_EVENTS = [
  "sign_in",
  "sign_out",
  "consent",
  "consent.withdrawn",
  "grant.ended",
  "sign_up.requested",
  "email.verified",
  "email.change_requested",
  "email.changed",
  "profile.changed",
  "password.changed",
  "password.reset",
  "password_reset.sent",
  "second_factor.added",
  "second_factor.removed",
  "recovery_codes.made",
  "recovery_code.used",
  "passkey.added",
  "passkey.refused",
  "passkey.renamed",
  "passkey.removed",
  "provider.connected",
  "provider.disconnected",
  "session.ended",
  "sessions.ended",
  "data.downloaded",
  "deletion.requested",
  "deletion.undone",
  "administrator.created",
  "account.created",
  "account.updated",
  "account.disabled",
  "account.enabled",
  "account.signed_out",
  "account.role_granted",
  "account.role_revoked",
] as const;

export const wordsFor = ({ event, outcome, detail }: Pick<PastEvent, "event" | "outcome"> & Partial<Pick<PastEvent, "detail">>): Text => {
  // It says more than that: somebody has the password.
  if (event === "sign_in" && detail?.outcome === "wrong_code") return text("events:refused.second_step");
  const kind = event.replaceAll(".", "_");
  return text(outcome === "failure" && REFUSALS.has(event) ? `events:refused.${kind}` : `events:kinds.${kind}`);
};

/** What has words of its own when it was refused. */
const REFUSALS: ReadonlySet<string> = new Set(["sign_in", "consent", "password.changed"]);

/** What stands in `amr` for something that people know; the rest says more of the same. The words are `events:factors.<name>`. */
const FACTORS: Readonly<Record<string, string>> = {
  pwd: "password",
  fed: "provider",
  otp: "app",
  recovery: "recovery_code",
  user: "passkey",
};

/**
 * From where it came, for the account's owner to read: not when it was somebody else who is known, such as an operator, whose address is theirs.
 */
export const addressFor = ({ actor, accountId, clientId, address }: Pick<PastEvent, "actor" | "accountId" | "clientId" | "address">) =>
  actor === undefined || actor === accountId || actor === clientId ? address : undefined;

/** Who did it, for the account's owner: who of the operators is not for them to know. */
export const actorFor = ({ actor, accountId, clientId }: Pick<PastEvent, "actor" | "accountId" | "clientId">): string | undefined => {
  if (actor === accountId) return actor && "you";
  return actor === undefined || actor === clientId ? actor : "operator";
};

/** With what somebody signed in, in the order in which it was shown; nothing for any other event. */
export function factorsOf({ event, outcome, detail }: Pick<PastEvent, "event" | "outcome" | "detail">): Text[] {
  if (event !== "sign_in" || outcome === "failure") return [];
  const names = String(detail.amr ?? "").split(" ");
  return names.flatMap((name) => (FACTORS[name] === undefined ? [] : [text(`events:factors.${FACTORS[name]}`)]));
}
