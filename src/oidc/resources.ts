/** Resource indicators (RFC 8707): every access token is for one resource; without a wish it is for this server itself. */
import { errors, type KoaContextWithOIDC } from "oidc-provider";
import { accessTokenLife } from "./lifetimes.ts";
import type { EngineDependencies } from "./ports.ts";

type Dependencies = Pick<EngineDependencies, "issuer" | "findResourceServer" | "lifetimes" | "sessionExpiry">;

export function resourceIndicators({ issuer, findResourceServer, lifetimes, sessionExpiry }: Dependencies) {
  return {
    enabled: true as const,
    /** @param oneOf what was granted, or asked for, when a token request does not say which one of several */
    defaultResource: ({ oidc }: KoaContextWithOIDC, _client: unknown, oneOf?: readonly string[]): string | string[] => {
      if (oneOf === undefined) return issuer;
      if (oidc.params?.resource === undefined && oneOf.includes(issuer)) return issuer;
      return [...oneOf];
    },
    useGrantedResource: () => true,
    async getResourceServerInfo(ctx: KoaContextWithOIDC, resource: string, client: Parameters<typeof findResourceServer>[1]) {
      const { oidc } = ctx;
      const view = await findResourceServer(resource, client, {
        accountId: oidc.account?.accountId ?? oidc.session?.accountId,
        clientAlone: oidc.params?.grant_type === "client_credentials",
      });
      if (view === undefined) throw new errors.InvalidTarget("the requested resource is not known here", `no resource ${resource}`);
      return { ...view, accessTokenTTL: await accessTokenLife(lifetimes, ctx, view.accessTokenTTL, sessionExpiry) };
    },
  };
}
