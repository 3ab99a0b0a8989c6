/** Flow suites: one Grantor on each arrangement of stores, in whose log no credential may be found when they are done. */
import { afterAll, beforeAll, describe } from "vitest";
import { type Grantor, startGrantor } from "./grantor.ts";
import { secretsIn, watchSecrets } from "./secrets-watch.ts";
import { type Stores, stores } from "./stores.ts";

export interface Flow {
  /** Running, from the first test on. */
  readonly grantor: Grantor;
  readonly stores: Stores;
}

/** @param env settings of the server, or what makes them */
export function describeFlows(
  name: string,
  tests: (flow: Flow) => void,
  env: Record<string, string> | (() => Promise<Record<string, string>>) = {},
): void {
  describe.each(stores)(`${name}, on $name`, ({ open }) => {
    const flow: { grantor: Grantor; stores: Stores } = {} as never;
    beforeAll(async () => {
      watchSecrets();
      flow.stores = await open();
      // Everything that could be logged is.
      flow.grantor = await startGrantor(flow.stores, { LOG_LEVEL: "trace", ...(typeof env === "function" ? await env() : env) });
    });
    afterAll(async () => {
      await flow.grantor?.[Symbol.asyncDispose]();
      await flow.stores?.close();
      if (flow.grantor === undefined) return;
      const logs = flow.grantor.server.logs();
      const found = secretsIn(logs);
      if (found.length > 0) throw new Error(`the log holds credentials: ${found.join(", ")}\n${logs.slice(0, 4000)}`);
      const failures = logs.split("\n").filter((line) => line.includes('"level":"error"') || line.includes('"level":"fatal"'));
      if (failures.length > 0) throw new Error(`the log holds errors:\n${failures.slice(0, 5).join("\n")}`);
    });
    tests(flow);
  });
}
