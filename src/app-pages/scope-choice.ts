/** The scopes that an owner can choose from, in words, and what they chose. Each is a box of its own, named `scope:<scope>`. */
import type { ClientType } from "../clients/client-metadata.ts";
import type { Resource } from "../clients/resource.ts";
import { isManagementScope, isOpenIdScope, joinScope } from "../clients/scopes.ts";
import type { ScopeChoice } from "../http/app-page-models.ts";
import { describeScopes } from "../interactions/scope-words.ts";
import type { OfferedScopes } from "../operations/app-operations.ts";

const FIELD = "scope:";

/** What an application with people may ask for unless its owner chooses otherwise; one that goes alone begins with nothing. */
export const usualScopes = (type: ClientType): string[] => (type === "service" ? [] : ["openid", "profile", "email", "offline_access"]);

/** @param held what is chosen now; of these, what is not offered any more stays until it is taken away */
export async function scopeChoices({ openid, resources }: OfferedScopes, held: readonly string[]): Promise<ScopeChoice[]> {
  const offered = new Set([...openid, ...resources.flatMap(({ scopes }) => scopes)]);
  const others = held.filter((scope) => !offered.has(scope) && !isOpenIdScope(scope));
  const byAudience = new Map<string, Resource>(resources.map(({ resource }) => [resource.audience, resource]));
  const groups = await describeScopes(
    openid,
    Object.fromEntries(resources.map(({ resource, scopes }) => [resource.audience, scopes])),
    async (audience) => byAudience.get(audience),
  );
  const chosen = new Set(held);
  return [...groups, ...(others.length === 0 ? [] : [{ other: true, scopes: others.map((scope) => ({ scope, description: scope })) }])].map(
    ({ scopes, ...group }) => ({
      ...("resource" in group && group.resource && { resource: group.resource }),
      ...("other" in group && { other: true }),
      scopes: scopes.map(({ scope, description }) => ({
        field: `${FIELD}${scope}`,
        scope,
        description,
        chosen: chosen.has(scope),
      })),
    }),
  );
}

/** The value of `scope` that a form says. */
export const chosenScope = (form: Readonly<Record<string, string>>): string =>
  joinScope(
    Object.keys(form)
      .filter((name) => name.startsWith(FIELD))
      .map((name) => name.slice(FIELD.length))
      .filter((scope) => !isManagementScope(scope)),
  );
