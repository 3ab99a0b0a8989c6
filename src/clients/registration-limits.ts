/** What an initial access token allows those who register with it, beyond what everybody may: when they register, and at every later change. */
import { type Fault, refuseFaults } from "./client-error.ts";
import type { ClientMetadata } from "./client-metadata.ts";
import { isManagementScope, isScopeToken, splitScope } from "./scopes.ts";

/** Absent: no limit. */
export interface RegistrationLimits {
  /** The only scopes that may be registered. */
  readonly scopes?: readonly string[];
  /**
   * Where redirect URIs, those after a sign-out included, may lead: `app.example`, `*.app.example` for what lies below it, or the private-use
   * scheme of a native application with its colon, such as `com.example.app:`. In lower case.
   */
  readonly redirectHosts?: readonly string[];
}

const MOST_ENTRIES = 50;
const HOST = /^(?:\*\.)?(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$|^\[[0-9a-f:]+\]$/;
const SCHEME = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:$/;

/** As they are kept: each entry once, hosts in lower case. @throws {ClientError} `invalid_client_metadata` naming every fault */
export function checkLimits({ scopes, redirectHosts }: RegistrationLimits): RegistrationLimits {
  const hosts = redirectHosts && [...new Set(redirectHosts.map((host) => host.toLowerCase()))];
  const names = scopes && [...new Set(scopes)];
  const faults: Fault[] = [];
  for (const [member, entries] of Object.entries({ scopes: names, redirect_hosts: hosts })) {
    if (entries !== undefined && (entries.length === 0 || entries.length > MOST_ENTRIES))
      faults.push({ member, message: `must hold 1 to ${MOST_ENTRIES} entries` });
  }
  for (const [index, scope] of (names ?? []).entries()) {
    if (!isScopeToken(scope)) faults.push({ member: `scopes[${index}]`, message: "must be the name of a scope" });
    else if (isManagementScope(scope)) faults.push({ member: `scopes[${index}]`, message: "is given by an operator alone" });
  }
  for (const [index, host] of (hosts ?? []).entries()) {
    if (!HOST.test(host) && !SCHEME.test(host))
      faults.push({
        member: `redirect_hosts[${index}]`,
        message: "must be a host such as app.example or *.app.example, without a port, or a private-use scheme such as com.example.app:",
      });
  }
  refuseFaults(faults);
  return { ...(names !== undefined && { scopes: names }), ...(hosts !== undefined && { redirectHosts: hosts }) };
}

/**
 * @param before what is registered already: what an operator has added to it stays
 * @throws {ClientError} `invalid_redirect_uri` or `invalid_client_metadata`, naming all that goes beyond the limits
 */
export function refuseBeyondLimits(metadata: ClientMetadata, limits: RegistrationLimits | undefined, before?: ClientMetadata): void {
  const { scopes, redirectHosts } = limits ?? {};
  const held = splitScope(before?.scope);
  const faults: Fault[] = [];
  if (redirectHosts !== undefined) {
    for (const member of ["redirect_uris", "post_logout_redirect_uris"] as const) {
      for (const [index, uri] of (metadata[member] ?? []).entries()) {
        if (!before?.[member]?.includes(uri) && !redirectHosts.some((entry) => covers(entry, hostOf(uri))))
          faults.push({
            member: `${member}[${index}]`,
            message: `leads elsewhere than the initial access token allows: ${redirectHosts.join(", ")}`,
          });
      }
    }
  }
  if (scopes !== undefined) {
    const beyond = splitScope(metadata.scope).filter((scope) => !scopes.includes(scope) && !held.includes(scope));
    const message =
      metadata.scope === undefined
        ? `is needed, since the initial access token allows these alone: ${scopes.join(" ")}`
        : `holds what the initial access token does not allow: ${beyond.join(" ")}`;
    if (metadata.scope === undefined || beyond.length > 0) faults.push({ member: "scope", message });
  }
  refuseFaults(faults);
}

/** For programs. */
export const limitsToJson = ({ scopes, redirectHosts }: RegistrationLimits) => ({
  ...(scopes !== undefined && { scopes: [...scopes] }),
  ...(redirectHosts !== undefined && { redirect_hosts: [...redirectHosts] }),
});

/** The scope of a registration that names none: what its initial access token allows. */
export const scopeWithin = (limits: RegistrationLimits | undefined): string | undefined => limits?.scopes?.join(" ");

/** Of a private-use scheme there is nothing but the scheme (RFC 8252 §7.1), whose colon tells it from a host: any application on a device can claim it. */
function hostOf(uri: string): string {
  const { protocol, hostname } = new URL(uri);
  return protocol === "https:" || protocol === "http:" ? hostname : protocol;
}

const covers = (entry: string, host: string): boolean => (entry.startsWith("*.") ? host.endsWith(entry.slice(1)) : host === entry);
