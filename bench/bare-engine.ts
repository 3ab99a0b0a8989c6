/** The engine by itself, as its documentation starts one, with an in-memory store: what Grantor is measured beside. A process of its own. */
import { createServer } from "node:http";
import Koa from "koa";
import { type Adapter, type AdapterPayload, Provider } from "oidc-provider";
import { generateSigningJwk } from "../src/keys/algorithms.ts";

const port = Number(process.env.PORT);
const issuer = `http://localhost:${port}`;
const API = issuer;
const SCOPES = "openid email offline_access";

/** Find, then set: no single use, no expiry, no disk. */
class Memory implements Adapter {
  static readonly #all = new Map<string, AdapterPayload>();
  readonly #name: string;
  constructor(name: string) {
    this.#name = name;
  }
  async upsert(id: string, payload: AdapterPayload) {
    Memory.#all.set(`${this.#name}:${id}`, payload);
    if (payload.uid) Memory.#all.set(`uid:${payload.uid}`, payload);
  }
  async find(id: string) {
    return Memory.#all.get(`${this.#name}:${id}`);
  }
  async findByUid(uid: string) {
    return Memory.#all.get(`uid:${uid}`);
  }
  async findByUserCode() {
    return undefined;
  }
  async consume(id: string) {
    const found = Memory.#all.get(`${this.#name}:${id}`);
    if (found) found.consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id: string) {
    Memory.#all.delete(`${this.#name}:${id}`);
  }
  async revokeByGrantId() {}
}

const provider = new Provider(issuer, {
  adapter: Memory,
  jwks: { keys: [(await generateSigningJwk("RS256")) as never] },
  clients: [
    {
      client_id: "web",
      client_secret: "web-secret",
      redirect_uris: ["https://app.example/callback"],
      grant_types: ["authorization_code", "refresh_token"],
    },
    { client_id: "service", client_secret: "service-secret", redirect_uris: [], response_types: [], grant_types: ["client_credentials"] },
  ],
  cookies: { keys: ["a-key-for-the-bench-alone"] },
  claims: { openid: ["sub"], email: ["email"] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: async (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, email: "bench@example.org" }) }),
  async loadExistingGrant(ctx) {
    const { oidc } = ctx;
    const clientId = oidc.client?.clientId ?? "";
    const known = oidc.session?.grantIdFor(clientId);
    if (known) return provider.Grant.find(known);
    const grant = new provider.Grant({ clientId, accountId: oidc.session?.accountId as string });
    grant.addOIDCScope(SCOPES);
    grant.addResourceScope(API, SCOPES);
    await grant.save();
    return grant;
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => API,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: SCOPES,
        audience: API,
        accessTokenFormat: "jwt",
        accessTokenTTL: 900,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});

const site = new Koa();
site.use(async (ctx) => {
  const returnTo = await provider.interactionResult(ctx.req, ctx.res, { login: { accountId: "bench" } });
  ctx.redirect(returnTo);
});
const engine = provider.callback();
const pages = site.callback();
createServer((request, response) => (request.url?.startsWith("/interaction/") ? pages : engine)(request, response)).listen(
  port,
  "127.0.0.1",
  () => process.send?.("ready"),
);
process.on("SIGTERM", () => process.exit(0));
