/** The table of docs/revocation.md: every event is done, and every cell is looked at on another server than the one where it happened. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createOneTimeTokens } from "../../src/accounts/one-time-tokens.ts";
import { createAccountOperations } from "../../src/admin/account-operations.ts";
import { createClientOperations } from "../../src/admin/client-operations.ts";
import { authorizationUrl, authorize, type Grantor, pkce, post, redeem, refresh, type SeededClient } from "../support/grantor.ts";
import { type Instances, startInstances } from "../support/instances.ts";
import { COLUMNS, type Column, type Landscape, prepareWorld, type State, settle } from "../support/landscape.ts";
import { type Stores, stores } from "../support/stores.ts";

const PAGE = readFileSync(new URL("../../docs/revocation.md", import.meta.url), "utf8");
const cellsOf = (line: string) =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** Of the page: what each event does to each column. */
function readTable(): Map<string, Record<Column, State>> {
  const lines = PAGE.split("\n");
  const heading = lines.findIndex((line) => line.startsWith("| event | token |"));
  expect(cellsOf(lines[heading] ?? "")).toEqual(["event", ...COLUMNS]);
  const rows = lines.slice(heading + 2);
  const table = rows.slice(
    0,
    rows.findIndex((line) => !line.startsWith("|")),
  );
  return new Map(
    table.map((line) => {
      const [event = "", ...marks] = cellsOf(line);
      const states = marks.map((mark, index) => [COLUMNS[index], mark === "●" ? "ended" : mark === "·" ? "alive" : `"${mark}"?`]);
      return [event, Object.fromEntries(states)];
    }),
  );
}

const OPERATOR = { actor: "operator" };

function operations({ services }: Grantor) {
  const { people, clients, registrationTokens, resources, audit, endings } = services;
  return {
    accounts: createAccountOperations({
      ...people,
      links: createOneTimeTokens(services.database.prisma),
      audit,
      mailVerification: (id) => people.verification.resend(id),
      endAccount: (id) => endings.endAccount(id),
    }),
    clients: createClientOperations({ clients, registrationTokens, audit, knownScopes: async () => resources.knownScopes() }),
  };
}

/** By the words of the page. */
const EVENTS: Record<string, (grantor: Grantor, landscape: Landscape) => Promise<unknown>> = {
  "an access token is revoked": ({ url }, { app, accessToken }) => succeed(post(`${url}/oauth/revoke`, app, { token: accessToken })),
  "a refresh token is revoked": ({ url }, { app, refreshToken }) => succeed(post(`${url}/oauth/revoke`, app, { token: refreshToken })),
  "a code is used twice": async (grantor, { app, code, proof }) => expect((await redeem(grantor, app, code, proof)).status).toBe(400),
  "a refresh token is used twice": async (grantor, { app, usedRefreshToken }) =>
    expect((await refresh(grantor, app, usedRefreshToken)).status).toBe(400),
  "the person signs out": async ({ url }, { browser }) => {
    await browser.submit(await browser.open(`${url}/oauth/logout`), { logout: "yes" });
  },
  "the person leaves the application and stays signed in": async ({ url }, { browser, app }) => {
    await browser.submit(await browser.open(`${url}/oauth/logout?client_id=${app.client_id}`), {});
  },
  "another person signs in in the same browser": async ({ url }, { browser, app, stranger }) => {
    await authorize(browser, authorizationUrl(url, app, pkce(), { prompt: "login" }), stranger);
  },
  "the person takes the consent back": async ({ url }, { browser, app }) => {
    const page = await browser.open(`${url}/account`);
    const form = page.forms.findIndex(({ fields }) => fields.client_id === app.client_id);
    await browser.submit(page, {}, form);
  },
  "the person is signed out everywhere": (grantor, { person }) => operations(grantor).accounts.signOut(OPERATOR, person.email),
  "the account gets another password": (grantor, { person }) =>
    operations(grantor).accounts.update(OPERATOR, person.id, { password: "another horse battery staple" }),
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
    expect((await fetch(`${url}/oauth/register/${app.client_id}`, { method: "DELETE", headers })).status).toBe(204);
  },
  "the application gets another secret": async (grantor, { app }) => {
    app.client_secret = (await operations(grantor).clients.rotateSecret(OPERATOR, app.client_id)).secret as string;
  },
  "the account loses its roles": (grantor, { person }) => operations(grantor).accounts.update(OPERATOR, person.id, { roles: [] }),
};

async function succeed(response: Promise<Response>): Promise<void> {
  expect((await response).status).toBe(200);
}

test("the page and this suite know the same events", () => {
  expect([...readTable().keys()]).toEqual(Object.keys(EVENTS));
});

describe.each(stores)("what ends when, on $name", ({ open }) => {
  let opened: Stores;
  let instances: Instances;
  let grantor: Grantor;
  let elsewhere: { url: string };
  let monitor: SeededClient;
  beforeAll(async () => {
    opened = await open();
    instances = await startInstances(opened, 2, { REFRESH_GRACE: "0" });
    grantor = instances.grantor;
    elsewhere = { url: instances.urls[1] as string };
    monitor = await prepareWorld(grantor);
  });
  afterAll(async () => {
    await instances?.[Symbol.asyncDispose]();
    await opened?.close();
  });

  test.each([...readTable()])("%s", async (event, expected) => {
    const landscape = await settle(grantor, monitor);
    await EVENTS[event]?.(grantor, landscape);
    expect(await landscape.look(elsewhere)).toEqual(expected);
  });
});
