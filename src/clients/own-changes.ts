/** What an application may change of its registration by itself (RFC 7592 §2.2). */
import { isDeepStrictEqual } from "node:util";
import { ClientError, type Fault, refuseFaults } from "./client-error.ts";
import { type ClientMetadata, METADATA_MEMBERS, STRANGERS_SCOPES } from "./client-metadata.ts";
import type { ClientRecord } from "./client-record.ts";
import { isOpenIdScope, splitScope } from "./scopes.ts";

/** `createdBy` of applications that registered themselves with nobody to vouch for them. */
export const STRANGER = "registration";

/** Members that say nothing to a person and open nothing. */
const HARMLESS: ReadonlySet<string> = new Set(["contacts", "software_id", "software_version"]);

/** What an absent member means, where the engine writes it out in the update of a client that was registered before there was such a member. */
const MEANT: Partial<ClientMetadata> = { dpop_bound_access_tokens: false, introspection_signed_response_alg: "RS256" };

/**
 * An update never adds scopes of a resource: those come with the first registration, or from an operator, who may have taken them since. And
 * where an operator vouches for an application, it stays the application that they looked at.
 * @throws {ClientError} `invalid_client_metadata` naming every fault
 */
export function refuseOwnChanges(client: ClientRecord, metadata: ClientMetadata): void {
  const before = client.metadata;
  if (client.verified) refuseChanged(before, metadata);
  refuseOwnersChanges(client, metadata);

  const faults: Fault[] = [];
  const ofResources = splitScope(metadata.scope).filter((scope) => !isOpenIdScope(scope));
  const held = new Set(splitScope(before.scope));
  const added = ofResources.filter((scope) => !held.has(scope));
  if (added.length > 0) faults.push({ member: "scope", message: `adds what only an operator adds to a registration: ${added.join(" ")}` });
  const goesAlone = metadata.grant_types.includes("client_credentials") && !before.grant_types.includes("client_credentials");
  if (client.createdBy === STRANGER && goesAlone && ofResources.length > 0) faults.push({ member: "scope", message: STRANGERS_SCOPES });
  refuseFaults(faults);
}

/**
 * Where an operator gave an application more than it can have by itself, it stays the application that they gave it to, whatever its owners say.
 * @throws {ClientError} `invalid_client_metadata` naming every fault
 */
export function refuseOwnersChanges(client: ClientRecord, metadata: ClientMetadata): void {
  const { firstParty, managementScopes, tokenExchange } = client;
  if (firstParty || managementScopes.length > 0 || tokenExchange !== undefined) refuseChanged(client.metadata, metadata);
}

function refuseChanged(before: ClientMetadata, after: ClientMetadata): void {
  const says = (client: ClientMetadata, member: keyof ClientMetadata) => client[member] ?? MEANT[member];
  const changed = METADATA_MEMBERS.filter(
    (member) => !HARMLESS.has(member) && !isDeepStrictEqual(says(before, member), says(after, member)),
  );
  if (changed.length === 0) return;
  const message = "is changed by an operator alone, who vouches for this application";
  throw new ClientError("invalid_client_metadata", `an operator vouches for this application, and alone changes ${changed.join(", ")}`, {
    faults: changed.map((member) => ({ member, message, reason: "vouched_for" })),
  });
}

/** Members by which a person recognises an application. */
const RECOGNISED_BY = ["client_name", "logo_uri", "client_uri", "policy_uri", "tos_uri"] as const;

/** Whether it is not the application any more that an operator looked at: it calls itself something else, or sends people to another place. */
export function outgrowsVerification(before: ClientMetadata, after: ClientMetadata): boolean {
  if (RECOGNISED_BY.some((member) => before[member] !== after[member])) return true;
  return !placesOf(after).isSubsetOf(placesOf(before));
}

/** Where people are sent, after a sign-in and after a sign-out. */
const placesOf = ({ redirect_uris, post_logout_redirect_uris = [] }: ClientMetadata): Set<string> =>
  new Set([...redirect_uris, ...post_logout_redirect_uris].map(placeOf));

/** Scheme and host. */
function placeOf(uri: string): string {
  const { protocol, hostname } = new URL(uri);
  return `${protocol}//${hostname}`;
}
