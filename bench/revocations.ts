/**
 * How long a resource server goes on accepting what was ended: for every event of docs/revocation.md that ends an access token, the time from its
 * acknowledgement to the first refusal. Two servers on PostgreSQL and Redis: the event happens at one, and the resource server's verifier gets
 * its lists from the other. Options: --rounds 3 --ttl 10
 */

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { AccessTokenError, createVerifier, type Verifier } from "../src/resource-server/resource-server.ts";
import { EVENTS } from "../test/support/ending-events.ts";
import { type Landscape, prepareWorld, settle } from "../test/support/landscape.ts";
import { quantile, startSurroundings } from "./surroundings.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" }, ttl: { type: "string", default: "10" } } });
const [rounds, ttl] = [Number(values.rounds), Number(values.ttl)];
/** Milliseconds between two requests with a token. */
const BETWEEN = 10;
/** These end no access token. */
const HARMLESS = ["the application gets another secret", "the account loses its roles"];
const events = Object.entries(EVENTS).filter(([name]) => !HARMLESS.includes(name));

await using surroundings = await startSurroundings(2, { STATUS_LIST_TTL: String(ttl), REFRESH_GRACE: "0" });
const { grantor, urls } = surroundings.instances;
const monitor = await prepareWorld(grantor);
const [here, elsewhere] = urls as [string, string];
const delays = new Map<string, number[]>(events.map(([name]) => [name, []]));

for (let round = 0; round < rounds; round++) {
  const landscapes: Landscape[] = [];
  for (const _ of events) landscapes.push(await settle(grantor, monitor));
  const { verify } = createVerifier({
    issuer: here,
    audience: [here, "https://api.example"],
    fetch: (url, init) => fetch(url.replace(here, elsewhere), init),
  });
  for (const { accessToken } of landscapes) await verify(accessToken);
  await Promise.all(
    events.map(async ([name, event], index) => {
      const landscape = landscapes[index] as Landscape;
      // Anywhere in the life of a list.
      await sleep(Math.random() * ttl * 1000);
      await verify(landscape.accessToken);
      await event(grantor, landscape);
      delays.get(name)?.push(await untilRefused(verify, landscape.accessToken));
    }),
  );
}

const seconds = (milliseconds: number) => Number((milliseconds / 1000).toFixed(2));
console.log(`STATUS_LIST_TTL ${ttl}: refused after, in seconds; the limit is ${ttl + 1}\n`);
console.table(
  [...delays].map(([event, times]) => ({
    event,
    median: seconds(quantile(times, 0.5)),
    longest: seconds(Math.max(...times)),
    within: times.every((time) => time <= (ttl + 1) * 1000) ? "yes" : "NO",
  })),
);

/** @returns milliseconds */
async function untilRefused(verify: Verifier["verify"], token: string): Promise<number> {
  const began = performance.now();
  for (;;) {
    try {
      await verify(token);
    } catch (error) {
      if (error instanceof AccessTokenError && error.message === "the access token was revoked") return performance.now() - began;
      throw error;
    }
    await sleep(BETWEEN);
  }
}
