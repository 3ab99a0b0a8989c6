/** Accounts, applications, what they allowed one another and where they are signed in, for calls of the management API. */
import { signIn } from "./grantor.ts";
import type { ManagementApi } from "./management-api.ts";
import { type Maker, made, unique } from "./management-maker.ts";

const email = () => `${unique("person")}@example.org`;
const PASSWORD = "quartz lantern meadow sixteen";

const anAccount = async (api: ManagementApi) => {
  const { account_id } = await made(api, "/accounts", { email: email(), email_verified: true, password: PASSWORD, name: "Ann Lee" });
  return { account_id: account_id as string };
};
const twoAccounts: Maker = async (api) => {
  await Promise.all([anAccount(api), anAccount(api)]);
  return { query: { search: "ann" } };
};
const ofAccount: Maker = async (api) => ({ params: await anAccount(api) });

export const accounts: Record<string, Maker> = {
  listAccounts: twoAccounts,
  createAccount: () => ({ body: { email: email(), email_verified: true, name: "Ann Lee", claims: { locale: "en" } } }),
  getAccount: ofAccount,
  updateAccount: async (api) => ({
    params: await anAccount(api),
    body: { email: email(), email_verified: true, name: null, claims: { nickname: "ann", locale: null } },
  }),
  deleteAccount: ofAccount,
  disableAccount: ofAccount,
  enableAccount: ofAccount,
  signOutAccount: ofAccount,
  mailPasswordReset: ofAccount,
  setPassword: async (api) => ({ params: await anAccount(api), body: { password: `${PASSWORD} again` } }),
  getWaysIn: ofAccount,
  removeSecondFactor: ofAccount,
  getAccountRoles: ofAccount,
  setAccountRoles: async (api) => ({ params: await anAccount(api), body: { roles: ["staff"] } }),
  invite: () => ({ body: { email: email() } }),
};

const webApp = () => ({ type: "web", client_name: unique("Shop"), redirect_uris: ["https://shop.example/cb"] });
const aClient = async (api: ManagementApi) => ({ client_id: (await made(api, "/clients", webApp())).client_id as string });
const ofClient: Maker = async (api) => ({ params: await aClient(api) });

export const clients: Record<string, Maker> = {
  listClients: async (api) => {
    await Promise.all([aClient(api), aClient(api)]);
    return { query: { search: "shop" } };
  },
  createClient: () => ({ body: { ...webApp(), scope: "openid profile", verified: true, access_token_ttl: 600 } }),
  getClient: ofClient,
  updateClient: async (api) => ({ params: await aClient(api), body: { client_uri: "https://shop.example", brand_color: "#3152c8" } }),
  deleteClient: ofClient,
  suspendClient: ofClient,
  resumeClient: ofClient,
  rotateClientSecret: async (api) => ({ params: await aClient(api), body: { overlap: 60 } }),
  endPreviousClientSecret: ofClient,
};

const aGrant = async (api: ManagementApi) => {
  const [{ account_id }, { client_id }] = await Promise.all([anAccount(api), aClient(api)]);
  await api.grantor.services.people.consents.remember(account_id, client_id, { openid: "openid", resources: {} });
  return { account_id, client_id };
};
const ofGrant: Maker = async (api) => ({ params: await aGrant(api) });

const aLiveGrant = async (api: ManagementApi) => {
  const [person, client] = await Promise.all([api.grantor.person(), api.grantor.client()]);
  await signIn(api.grantor, client, person);
  const [grant] = (await api.call("GET", `/accounts/${person.id}/live-grants`)).body.items;
  return { account_id: person.id, grant_id: grant.grant_id as string };
};

export const grants: Record<string, Maker> = {
  listGrants: async (api) => {
    await Promise.all([aGrant(api), aGrant(api)]);
    return {};
  },
  getGrant: ofGrant,
  endGrant: ofGrant,
  listLiveGrants: async (api) => ({ params: { account_id: (await oneSession(api)).account_id } }),
  getLiveGrant: async (api) => ({ params: await aLiveGrant(api) }),
  endLiveGrant: async (api) => ({ params: await aLiveGrant(api) }),
};

const aSession = async (api: ManagementApi) => {
  const [person, client] = await Promise.all([api.grantor.person(), api.grantor.client()]);
  await signIn(api.grantor, client, person);
  const [session] = (await api.call("GET", `/accounts/${person.id}/sessions`)).body.items;
  return { account_id: person.id, session_id: session.session_id as string };
};
/** One that is only looked at: signing in takes a while. */
const seen = new WeakMap<ManagementApi, ReturnType<typeof aSession>>();
function oneSession(api: ManagementApi): ReturnType<typeof aSession> {
  const known = seen.get(api) ?? aSession(api);
  seen.set(api, known);
  return known;
}

export const sessions: Record<string, Maker> = {
  listSessions: async (api) => ({ params: { account_id: (await oneSession(api)).account_id } }),
  getSession: async (api) => ({ params: await oneSession(api) }),
  endSession: async (api) => ({ params: await aSession(api) }),
};
