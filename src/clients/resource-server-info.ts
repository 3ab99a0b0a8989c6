/** Which scopes a client can have at which resource: the one place where its registration and the roles of the person limit them. */
import type { KeyObject } from "node:crypto";
import type { ResourceServer } from "oidc-provider";
import type { ClientExtras } from "./engine-client-adapter.ts";
import { managementAudience, type Resource } from "./resource.ts";
import { encryptionKey } from "./resource-encryption.ts";
import { joinScope, OPENID_SCOPES } from "./scopes.ts";

/** What a token needs to know of where it goes. Scopes at the issuer are the OpenID ones, for userinfo. */
export interface Target {
  readonly audience: string;
  /** As found in the store; the issuer and the management API are not kept there. */
  readonly resource?: Pick<Resource, "scopes" | "scopesByRole" | "accessTokenTtl" | "signingAlg" | "encryption"> | undefined;
  /** With HS256: what signs. */
  readonly hmacKey?: KeyObject | undefined;
}

/** For whom a token is asked. */
export interface Bearer {
  /** Whether the roles of the person permit a scope, where scopes go by roles; absent: there is no person, or they have not signed in yet. */
  readonly permits?: ((scope: string) => boolean) | undefined;
  /** The client asks for itself: nobody will sign in or consent. */
  readonly clientAlone?: boolean;
}

/**
 * For the engine's `getResourceServerInfo`. The engine limits only its static scopes to those that a client registered; here the others are.
 * @returns undefined where the client has no business: no such resource, or it has scopes and the client is registered for none of them; nor has a
 *   stranger without a person at one that has no scopes, where nobody could refuse it any
 */
export function resourceServerInfo(
  { audience, resource, hmacKey }: Target,
  client: Pick<ClientExtras, "grantor_scopes" | "management_scopes" | "stranger">,
  issuer: string,
  { permits, clientAlone = false }: Bearer = {},
): (ResourceServer & { scope: string }) | undefined {
  const info = (scopes: Iterable<string>, target: Partial<NonNullable<Target["resource"]>> = {}): ResourceServer & { scope: string } => {
    const { signingAlg: alg = "RS256", accessTokenTtl, encryption } = target;
    return {
      audience,
      scope: joinScope(scopes),
      accessTokenFormat: "jwt",
      jwt: {
        sign: alg === "HS256" ? { alg, key: hmacKey as KeyObject } : { alg },
        ...(encryption && {
          encrypt: { alg: encryption.alg, enc: encryption.enc, key: encryptionKey(encryption), kid: encryption.jwk.kid },
        }),
      } as NonNullable<ResourceServer["jwt"]>,
      ...(accessTokenTtl !== undefined && { accessTokenTTL: accessTokenTtl }),
    };
  };

  // What a person may not do, nobody does for them. They are asked for what is left, and if that is nothing, the token says so.
  const byRole = (scopes: readonly string[]): string[] => (permits === undefined ? [...scopes] : scopes.filter(permits));

  if (audience === issuer) {
    const registered = new Set<string>(client.grantor_scopes ?? OPENID_SCOPES);
    return info(OPENID_SCOPES.filter((scope) => registered.has(scope)));
  }
  if (audience === managementAudience(issuer))
    return client.management_scopes.length === 0 ? undefined : info(byRole(client.management_scopes));
  if (resource === undefined) return undefined;
  const registered = new Set(client.grantor_scopes);
  const scopes = resource.scopes.map(({ name }) => name).filter((name) => registered.has(name));
  if (scopes.length === 0 && (resource.scopes.length > 0 || (client.stranger && clientAlone))) return undefined;
  return info(resource.scopesByRole ? byRole(scopes) : scopes, resource);
}
