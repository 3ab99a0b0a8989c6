/** What a consent page asks, and what "allow" does: a grant for this sign-in, and a memory for the next. */
import type { Provider } from "oidc-provider";
import type { ConsentScopes } from "../accounts/consent-store.ts";
import type { ScopeGroup } from "../http/page-parts.ts";
import { type DescribedResource, describeScopes } from "./scope-words.ts";

/** Who asks, and who is asked. */
interface Parties {
  readonly clientId: string;
  readonly accountId: string;
}

export interface Consents {
  describe(params: Record<string, unknown>, parties: Parties): Promise<{ groups: ScopeGroup[]; offline: boolean }>;
  /** @returns the id of the grant that now covers what was asked */
  allow(
    provider: Provider,
    consent: { accountId: string; clientId: string; grantId: string | undefined; params: Record<string, unknown> },
  ): Promise<string>;
}

export interface ConsentOptions {
  issuer: string;
  isOpenIdScope(scope: string): boolean;
  findResource(audience: string): Promise<DescribedResource | undefined>;
  /** The scopes of a resource that a client may have for a person, space-separated. */
  scopesFor(audience: string, parties: Parties): Promise<string>;
  remember(accountId: string, clientId: string, scopes: ConsentScopes): Promise<unknown>;
}

export function createConsents(options: ConsentOptions): Consents {
  const { issuer, isOpenIdScope } = options;

  return {
    async describe(params, parties) {
      const { openid, resources } = await asked(params, parties);
      const { [issuer]: _own, ...others } = resources; // the issuer's own scopes are the OpenID ones, named already
      const groups = await describeScopes(openid, others, options.findResource);
      return { groups, offline: openid.includes("offline_access") };
    },

    async allow(provider, { accountId, clientId, grantId, params }) {
      const existing = grantId === undefined ? undefined : await provider.Grant.find(grantId);
      const grant =
        existing?.accountId === accountId && existing.clientId === clientId ? existing : new provider.Grant({ accountId, clientId });
      const { openid, resources } = await asked(params, { clientId, accountId });
      if (openid.length > 0) grant.addOIDCScope(openid.join(" "));
      for (const [audience, scopes] of Object.entries(resources)) {
        if (scopes.length > 0) grant.addResourceScope(audience, scopes.join(" "));
      }
      const remembered = Object.fromEntries(Object.entries(resources).map(([audience, scopes]) => [audience, scopes.join(" ")]));
      await options.remember(accountId, clientId, { openid: openid.join(" "), resources: remembered });
      return grant.save();
    },
  };

  async function asked(
    params: Record<string, unknown>,
    parties: Parties,
  ): Promise<{ openid: string[]; resources: Record<string, string[]> }> {
    const requested = String(params.scope ?? "")
      .split(" ")
      .filter(Boolean);
    const resources: Record<string, string[]> = {};
    for (const audience of audiences(params.resource)) {
      const allowed = new Set((await options.scopesFor(audience, parties)).split(" "));
      resources[audience] = requested.filter((scope) => allowed.has(scope));
    }
    return { openid: requested.filter(isOpenIdScope), resources };
  }

  function audiences(resource: unknown): string[] {
    if (resource === undefined) return [issuer];
    return Array.isArray(resource) ? resource.map(String) : [String(resource)];
  }
}
