/** Flow suites: one Grantor on each arrangement of stores, in whose log no credential and no error may be found when they are done. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { Account } from "../../src/accounts/account.ts";
import type { ClientRecord } from "../../src/clients/client-record.ts";
import { CATALOGUE } from "./audit-catalogue.ts";
import { type Grantor, startGrantor } from "./grantor.ts";
import { repeatedSecrets, secretsIn, watchSecrets } from "./secrets-watch.ts";
import { withoutBootstrap } from "./server.ts";
import { type Stores, stores } from "./stores.ts";
import { type TempDir, tempDir } from "./temp-dir.ts";

export interface Flow {
  /** Running, from the first test on. */
  readonly grantor: Grantor;
  readonly stores: Stores;
  /** What is stored by now, whoever changed it. */
  readonly stored: { client(clientId: string): Promise<ClientRecord | undefined>; account(idOrEmail: string): Promise<Account> };
  /** Does the work while the server's clock is that many seconds ahead of everybody else's. */
  later<T>(seconds: number, work: () => Promise<T>): Promise<T>;
}

export interface FlowOptions {
  /** Settings of the server, or what makes them. */
  env?: Record<string, string> | (() => Promise<Record<string, string>>);
  /** The tests send at random: only what the server gave out is looked for in its log. */
  random?: boolean;
}

const CLOCK = fileURLToPath(new URL("moved-clock.ts", import.meta.url));
/** Milliseconds in which the server looks at its clock again. */
const CLOCK_DELAY = 15;

export function describeFlows(name: string, tests: (flow: Flow) => void, { env = {}, random = false }: FlowOptions = {}): void {
  describe.each(stores)(`${name}, on $name`, ({ open }) => {
    let dir: TempDir;
    const setClock = (seconds: number) => writeFileSync(join(dir.path, "clock"), `${seconds}`);
    const flow: { grantor: Grantor; stores: Stores; stored: Flow["stored"]; later: Flow["later"] } = {
      grantor: undefined as never,
      stores: undefined as never,
      stored: {
        async client(clientId) {
          await flow.grantor.inStep();
          return flow.grantor.services.clients.find(clientId);
        },
        async account(idOrEmail) {
          await flow.grantor.inStep();
          return flow.grantor.services.people.accounts.get(idOrEmail);
        },
      },
      async later(seconds, work) {
        setClock(seconds);
        await sleep(CLOCK_DELAY);
        try {
          return await work();
        } finally {
          setClock(0);
          await sleep(CLOCK_DELAY);
        }
      },
    };
    beforeAll(async () => {
      watchSecrets({ sent: !random });
      dir = tempDir("flow");
      setClock(0);
      const settings = typeof env === "function" ? await env() : env;
      // Keys are as old as the test run: with times of their own they begin with the suite.
      flow.stores = await open({ empty: Object.keys(settings).some((name) => name.startsWith("KEY_")) });
      // At this level everything that could be logged is.
      const own = { LOG_LEVEL: "trace", MOVED_CLOCK: join(dir.path, "clock") };
      flow.grantor = await startGrantor(flow.stores, { ...own, ...settings }, { nodeArgs: ["--import", CLOCK] });
    });
    afterAll(async () => {
      const kept = await flow.grantor?.kept();
      await flow.grantor?.[Symbol.asyncDispose]();
      await flow.stores?.close();
      dir.remove();
      if (flow.grantor === undefined || kept === undefined) return;
      checkLog(flow.grantor.server.logs());
      checkKept(kept);
      expect(repeatedSecrets(), "answers that repeat a credential").toEqual([]);
    });
    tests(flow);
  });
}

/** A mail holds the token of its link, which is for whoever reads it. */
function checkKept({ audit, exported, mails }: Awaited<ReturnType<Grantor["kept"]>>): void {
  expect({ audit: secretsIn(audit), exported: secretsIn(exported), mails: secretsIn(mails, "token") }).toEqual({
    audit: [],
    exported: [],
    mails: [],
  });
  const recorded = new Set((JSON.parse(audit) as { event: string }[]).map(({ event }) => event));
  expect([...recorded.difference(CATALOGUE)], "events that docs/audit-log.md does not name").toEqual([]);
}

function checkLog(log: string): void {
  const found = secretsIn(withoutBootstrap(log));
  if (found.length > 0) throw new Error(`the log holds credentials: ${found.join(", ")}\n${log.slice(0, 4000)}`);
  const errors = log.split("\n").filter((line) => /"level":"(?:error|fatal)"/.test(line));
  if (errors.length > 0) throw new Error(`the log holds errors:\n${errors.slice(0, 5).join("\n")}`);
}
