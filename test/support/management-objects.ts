/**
 * For every operation of the management API, what a valid call of it is about and says: the objects are made on the spot, so that each call is free to
 * change or delete them. An operation that is not here fails test/flows/management-api.test.ts.
 */
import type { ManagementApi } from "./management-api.ts";
import { type Maker, made, unique } from "./management-maker.ts";
import { accounts, clients, grants, sessions } from "./management-people-objects.ts";
import { waitFor } from "./wait-for.ts";

const keyId = async (api: ManagementApi): Promise<string> => (await api.call("GET", "/keys")).body.items[0].kid;

const keys: Record<string, Maker> = {
  listKeys: () => ({}),
  getKey: async (api) => ({ params: { kid: await keyId(api) } }),
  rotateKeys: () => ({ body: { alg: "ES256" } }),
};

/** The calls before it are in the log, in a moment. */
async function recorded(api: ManagementApi): Promise<Record<string, string>> {
  const events = await waitFor("an event about an account", async () => {
    const { items } = (await api.call("GET", "/audit/events?limit=200")).body;
    return items.find((event: { account_id?: string }) => event.account_id !== undefined);
  });
  return events;
}

const audit: Record<string, Maker> = {
  listAuditEvents: () => ({ query: { event: "s", outcome: "success", since: new Date(0).toISOString() } }),
  getAuditEvent: async (api) => ({ params: { event_id: (await recorded(api)).event_id as string } }),
  exportAuditLog: () => ({ query: { since: new Date(0).toISOString() } }),
  listAuditCheckpoints: () => ({}),
  signAuditLog: () => ({}),
  eraseFromAuditLog: async (api) => ({ body: { account_id: (await recorded(api)).account_id } }),
};

const resource = (): Record<string, unknown> & { audience: string } => {
  const name = unique("api");
  return {
    audience: `https://${name}.example/v1`,
    name: "Orders",
    scopes: [{ name: `${name}:read`, description: "read your orders" }],
    alg: "HS256",
  };
};
const aResource = async (api: ManagementApi) => ({ audience: (await made(api, "/resources", resource())).audience as string });

const resources: Record<string, Maker> = {
  listResources: async (api) => {
    await aResource(api);
    await aResource(api);
    return {};
  },
  createResource: () => ({ body: resource() }),
  getResource: async (api) => ({ params: await aResource(api) }),
  updateResource: async (api) => ({
    params: await aResource(api),
    body: { name: unique("Orders"), access_token_ttl: 300, scopes_by_role: true },
  }),
  deleteResource: async (api) => ({ params: await aResource(api) }),
  rotateResourceSecret: async (api) => ({ params: await aResource(api) }),
};

const aRole = async (api: ManagementApi) => ({ name: (await made(api, "/roles", { name: unique("role") })).name as string });
const person = async ({ grantor }: ManagementApi) => (await grantor.person()).id;
/** A role that two accounts have, and one of them. */
async function aHeldRole(api: ManagementApi) {
  const { name } = await aRole(api);
  const [account_id] = await Promise.all(
    [person(api), person(api)].map(async (making) => {
      const id = await making;
      const { status } = await api.call("PUT", `/roles/${name}/holders/${id}`);
      if (status !== 204) throw new Error(`the role was not given: ${status}`);
      return id;
    }),
  );
  return { name, account_id: account_id as string };
}

const roles: Record<string, Maker> = {
  listRoles: async (api) => {
    await aRole(api);
    return {};
  },
  createRole: () => ({
    body: { name: unique("role"), description: "Answers questions", permissions: ["orders:read"], require_second_factor: true },
  }),
  getRole: async (api) => ({ params: await aRole(api) }),
  updateRole: async (api) => ({
    params: await aRole(api),
    body: { description: unique("Answers"), permissions: [], require_second_factor: true },
  }),
  deleteRole: async (api) => ({ params: await aRole(api) }),
  listRoleHolders: async (api) => ({ params: { name: (await aHeldRole(api)).name } }),
  grantRole: async (api) => ({ params: { ...(await aRole(api)), account_id: await person(api) } }),
  revokeRole: async (api) => ({ params: await aHeldRole(api) }),
};

const provider = () => ({
  id: unique("p"),
  kind: "oidc",
  name: "Harbour",
  issuer: "https://login.harbour.example",
  client_id: "grantor",
  client_secret: unique("a-secret-of-a-provider"),
  roles: { claim: "groups", values: { staff: ["employee"] } },
});
const aProvider = async (api: ManagementApi) => ({ id: (await made(api, "/identity-providers", provider())).id as string });

const identityProviders: Record<string, Maker> = {
  listIdentityProviders: async (api) => {
    await Promise.all([aProvider(api), aProvider(api)]);
    return {};
  },
  createIdentityProvider: () => ({ body: provider() }),
  getIdentityProvider: async (api) => ({ params: await aProvider(api) }),
  updateIdentityProvider: async (api) => ({ params: await aProvider(api), body: { name: unique("Harbour"), link_by_email: true } }),
  deleteIdentityProvider: async (api) => ({ params: await aProvider(api) }),
};

const aToken = async (api: ManagementApi) => ({ id: (await made(api, "/registration-tokens", { uses: 1 })).id as string });

const registrationTokens: Record<string, Maker> = {
  listRegistrationTokens: async (api) => {
    await Promise.all([aToken(api), aToken(api)]);
    return {};
  },
  createRegistrationToken: () => ({ body: { expires_in: 3600, uses: 2, scopes: ["openid"], redirect_hosts: ["app.example"] } }),
  getRegistrationToken: async (api) => ({ params: await aToken(api) }),
  deleteRegistrationToken: async (api) => ({ params: await aToken(api) }),
};

export const makers: Readonly<Record<string, Maker>> = {
  ...accounts,
  ...clients,
  ...grants,
  ...sessions,
  ...resources,
  ...roles,
  ...identityProviders,
  ...registrationTokens,
  ...keys,
  ...audit,
};
