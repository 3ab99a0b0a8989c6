// interactions/ holds the pages that the engine asks for: sign-in, consent, device, logout, and people's own entry and exit. It owns no
// account, client or token logic: it asks the rooms that do, and hands their answers to the engine.
import type { ScopeGroup, ScopeView } from "../http/page-parts.ts";
import { text, type Words } from "../i18n/messages.ts";

/** What each of the issuer's own scopes lets an application do, for a person who decides about it. */
const OPENID_WORDS: Readonly<Record<string, Words>> = {
  openid: text("scopes:openid"),
  profile: text("scopes:profile"),
  email: text("scopes:email"),
  address: text("scopes:address"),
  phone: text("scopes:phone"),
  offline_access: text("scopes:offline_access"),
  roles: text("scopes:roles"),
};

/** A resource server and what it calls its scopes: the operator's words, in whatever language. */
export interface DescribedResource {
  readonly audience: string;
  readonly name: string;
  readonly scopes: readonly { readonly name: string; readonly description: string }[];
}

/** @param openid the scopes of the person's own data  @param resources what is asked of each other resource server, by audience */
export async function describeScopes(
  openid: readonly string[],
  resources: Readonly<Record<string, readonly string[]>>,
  findResource: (audience: string) => Promise<DescribedResource | undefined>,
): Promise<ScopeGroup[]> {
  const groups: ScopeGroup[] = [];
  if (openid.length > 0) groups.push({ scopes: openid.map((scope) => ({ scope, description: OPENID_WORDS[scope] ?? scope })) });
  for (const [audience, scopes] of Object.entries(resources)) {
    if (scopes.length === 0) continue;
    const resource = (await findResource(audience)) ?? { audience, name: audience, scopes: [] };
    groups.push({
      resource: { name: resource.name || resource.audience, audience: resource.audience },
      scopes: scopes.map((scope) => describe(resource, scope)),
    });
  }
  return groups;
}

const describe = (resource: DescribedResource, scope: string): ScopeView => ({
  scope,
  description: resource.scopes.find(({ name }) => name === scope)?.description || scope,
});
