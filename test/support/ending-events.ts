/** Everything that ends tokens, done to a landscape: what docs/revocation.md has a row for. */
import { createOneTimeTokens } from "../../src/accounts/one-time-tokens.ts";
import { createAccountOperations } from "../../src/operations/account-operations.ts";
import { createClientOperations } from "../../src/operations/client-operations.ts";
import { Agent } from "./agent.ts";
import { authorizationUrl, authorize, type Grantor, pkce, post, redeem, refresh } from "./grantor.ts";
import type { Landscape } from "./landscape.ts";

const OPERATOR = { actor: "operator" };

function operations({ services }: Grantor) {
  const { people, clients, resources, audit, endings } = services;
  return {
    accounts: createAccountOperations({
      ...people,
      audit,
      mailVerification: (id) => people.verification.resend(id),
      endAccount: (id) => endings.endAccount(id),
    }),
    clients: createClientOperations({ clients, audit, knownScopes: async () => resources.knownScopes() }),
  };
}

/** What ends tokens, by the words of docs/revocation.md. */
export const EVENTS: Record<string, (grantor: Grantor, landscape: Landscape) => Promise<unknown>> = {
  "an access token is revoked": ({ url }, { app, accessToken }) => answers(200, post(`${url}/oauth/revoke`, app, { token: accessToken })),
  "a refresh token is revoked": ({ url }, { app, refreshToken }) => answers(200, post(`${url}/oauth/revoke`, app, { token: refreshToken })),
  "a code is used twice": (grantor, { app, code, proof }) => answers(400, redeem(grantor, app, code, proof)),
  "a refresh token is used twice": (grantor, { app, usedRefreshToken }) => answers(400, refresh(grantor, app, usedRefreshToken)),
  "the person signs out": async ({ url }, { browser }) => {
    await browser.submit(await browser.open(`${url}/oauth/logout`), { logout: "yes" });
  },
  "the person signs the browser out from another": async ({ url }, { phone }) => {
    const page = await phone.open(`${url}/account/sessions`);
    const form = page.forms.findIndex(({ fields }) => "session" in fields);
    await phone.submit(page, {}, form);
  },
  "the person leaves the application and stays signed in": async ({ url }, { browser, app }) => {
    await browser.submit(await browser.open(`${url}/oauth/logout?client_id=${app.client_id}`), {});
  },
  "another person signs in in the same browser": async ({ url }, { browser, app, stranger }) => {
    await authorize(browser, authorizationUrl(url, app, pkce(), { prompt: "login" }), stranger);
  },
  "the person takes the consent back": async ({ url }, { browser, app }) => {
    const page = await browser.open(`${url}/account/applications`);
    const form = page.forms.findIndex(({ fields }) => fields.client_id === app.client_id);
    await browser.submit(page, {}, form);
  },
  "the person is signed out everywhere": (grantor, { person }) => operations(grantor).accounts.signOut(OPERATOR, person.email),
  "the person changes the password": async ({ url }, { browser, person }) => {
    const typed = { current: person.password, password: "another horse battery staple" };
    const { text } = await browser.submit(await browser.open(`${url}/account/password`), typed);
    if (!text.includes("Your password is changed.")) throw new Error(`the password was not changed:\n${text}`);
  },
  "the person asks for the deletion of the account": async ({ url }, { browser, person }) => {
    const { text } = await browser.submit(await browser.open(`${url}/account/delete`), { email: person.email });
    if (!text.includes("going to be deleted")) throw new Error(`the deletion was not asked for:\n${text}`);
  },
  "the account gets another password": (grantor, { person }) =>
    operations(grantor).accounts.update(OPERATOR, person.id, { password: "another horse battery staple" }),
  "the person resets the password": async ({ url, services }, { person }) => {
    const token = await createOneTimeTokens(services.database.prisma).issue("reset-password", { ttl: 60, accountId: person.id });
    const browser = new Agent();
    const page = await browser.open(`${url}/reset-password?token=${token}`);
    const { status, text } = await browser.submit(page, { password: "another horse battery staple" });
    if (status !== 200) throw new Error(`${status}: ${text}`);
  },
  "the account's address counts as unverified": (grantor, { person }) =>
    operations(grantor).accounts.update(OPERATOR, person.id, { verified: false }),
  "the account is disabled": (grantor, { person }) => operations(grantor).accounts.disable(OPERATOR, person.id),
  "the account is deleted": (grantor, { person }) => operations(grantor).accounts.delete(OPERATOR, person.id),
  "the application is suspended": (grantor, { app }) => operations(grantor).clients.suspend(OPERATOR, app.client_id),
  "the application is deleted": (grantor, { app }) => operations(grantor).clients.delete(OPERATOR, app.client_id),
  "the application deletes its registration": async ({ url, services }, { app }) => {
    const token = "a-registration-access-token-of-this-test";
    await services.registrationTokens.save("RegistrationAccessToken", token, { payload: {}, clientId: app.client_id });
    const headers = { Authorization: `Bearer ${token}` };
    await answers(204, fetch(`${url}/oauth/register/${app.client_id}`, { method: "DELETE", headers }));
  },
  "the application gets another secret": async (grantor, { app }) => {
    app.client_secret = (await operations(grantor).clients.rotateSecret(OPERATOR, app.client_id)).secret as string;
  },
  "the account loses its roles": (grantor, { person }) => operations(grantor).accounts.update(OPERATOR, person.id, { roles: [] }),
};

async function answers(status: number, response: Promise<Response>): Promise<void> {
  const answer = await response;
  if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}: ${await answer.text()}`);
}
