/** The table of docs/revocation.md: every event is done, and every cell is looked at on another server than the one where it happened. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVENTS } from "../support/ending-events.ts";
import { answerOf, authorizationUrl, type Grantor, pkce, redeem, refresh, type SeededClient, signIn } from "../support/grantor.ts";
import { type Instances, startInstances } from "../support/instances.ts";
import { COLUMNS, type Column, prepareWorld, type State, settle } from "../support/landscape.ts";
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

  test("whoever leaves an application with offline access ends what it has without", async () => {
    const landscape = await settle(grantor, monitor);
    const { browser, offlineApp } = landscape;
    await browser.submit(await browser.open(`${grantor.url}/oauth/logout?client_id=${offlineApp.client_id}`), {});
    const untouched = Object.fromEntries(COLUMNS.map((column) => [column, "alive"]));
    expect(await landscape.look(elsewhere)).toEqual({ ...untouched, "other apps": "alive and ended" });
  });

  test("nor does what it has without go on by a refresh token, once it is left", async () => {
    const client = await grantor.client({ metadata: { scope: "openid offline_access" } });
    const parameters = { scope: "openid offline_access", prompt: "consent" };
    const { agent, tokens: offline } = await signIn(grantor, client, await grantor.person(), { parameters });
    const proof = pkce();
    const page = await agent.open(authorizationUrl(grantor.url, client, proof));
    const { body: bound } = await answerOf(redeem(grantor, client, new URL(page.url).searchParams.get("code") as string, proof));
    await agent.submit(await agent.open(`${grantor.url}/oauth/logout?client_id=${client.client_id}`), {});
    expect((await refresh(grantor, client, bound.refresh_token as string)).status).toBe(400);
    expect((await refresh(grantor, client, offline.refresh_token as string)).status).toBe(200);
  });
});
