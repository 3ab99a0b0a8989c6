/** What is wrong with what somebody says of their application, beside the field that says it. Fields are called as the members are (RFC 7591). */
import type { Context } from "koa";
import { ClientError, type Fault } from "../clients/client-error.ts";
import { leadsToOwnMachine, redirectUriFault, type UriFault, webUriFault } from "../clients/client-uris.ts";
import type { CheckedLists, CheckedUri } from "../http/app-page-models.ts";
import type { FormErrors } from "../http/page-parts.ts";
import { type Text, text } from "../i18n/messages.ts";

/** Members that are lists of redirect URIs, one on each line of their field. */
export const URI_LISTS = ["redirect_uris", "post_logout_redirect_uris"] as const;

export const PRIVATE_KEY: Text = text("apps:faults.private_key");

/** Reasons of which the sentence for the member would not say enough. */
const REASONS: Readonly<Record<string, Text>> = {
  private_key: PRIVATE_KEY,
  vouched_for: text("apps:faults.vouched_for"),
  not_offered: text("apps:faults.not_offered"),
};

/** What the owner can put right in the form; anything else is thrown on. Sets the status. @param fields those of the form */
export function showBesideFields(ctx: Context, error: unknown, fields: readonly string[]): FormErrors {
  if (!(error instanceof ClientError)) throw error;
  if (error.code === "not_found") throw error;
  ctx.status = error.status;
  if (error.code === "suspended") return { form: text("apps:suspended") };
  if (error.faults.length === 0) return { form: text("apps:faults.form") };
  const found: Record<string, Text> = {};
  let form: Text | undefined;
  for (const fault of error.faults) {
    const member = fault.member.replace(/\[.*/, "");
    if (fault.reason === "vouched_for" || !fields.includes(member)) form ??= wordsFor(fault, member);
    else found[member] ??= wordsFor(fault, member);
  }
  return { fields: found, ...(form !== undefined && { form }) };
}

function wordsFor({ member: place, reason }: Fault, member: string): Text {
  const index = place !== member;
  if (reason !== undefined && REASONS[reason] !== undefined) return REASONS[reason];
  if ((URI_LISTS as readonly string[]).includes(member)) return text(index ? "apps:faults.uri_list" : "apps:faults.no_redirect_uri");
  if (reason !== undefined) return uriWords(reason as UriFault);
  return MEMBERS[member] ?? text("apps:faults.member", { member });
}

/** Members whose rule a single sentence says. */
const MEMBERS: Readonly<Record<string, Text>> = {
  client_name: text("apps:faults.client_name"),
  contacts: text("apps:faults.contacts"),
  jwks: text("apps:faults.jwks"),
  jwks_uri: text("apps:faults.jwks_uri"),
  token_endpoint_auth_method: text("apps:faults.choice"),
  access_token_max_ttl: text("apps:faults.choice"),
  refresh_token_max_ttl: text("apps:faults.choice"),
};

const uriWords = (fault: UriFault): Text => text(`apps:uris.${fault}`);

/** Each line of a field with redirect URIs, or the URI in a field for one of another kind, with what there is to say about it. */
export function checkUris(value: string, kind: "redirect_web" | "redirect_native" | "web"): CheckedUri[] {
  return linesOf(value).map((uri) => {
    const fault = kind === "web" ? webUriFault(uri) : redirectUriFault(uri, kind === "redirect_native" ? "native" : "web");
    if (fault !== undefined) return { uri, fault: uriWords(fault) };
    if (!leadsToOwnMachine(uri)) return { uri };
    // RFC 8252 §7.3: there a native application listens for the answer.
    return { uri, note: text(kind === "redirect_native" ? "apps:uris.own_program" : "apps:uris.own_machine") };
  });
}

/** What there is to say about every line of the fields with redirect URIs. */
export const checkedLists = (typed: Readonly<Record<string, string>>, kind: "redirect_web" | "redirect_native"): CheckedLists =>
  Object.fromEntries(URI_LISTS.map((member) => [member, checkUris(typed[member] ?? "", kind)]));

export const linesOf = (value: string | undefined): string[] =>
  (value ?? "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
