/**
 * 100 people who sign in at the same moment, and what everybody else sees meanwhile: JWKS is asked for every few milliseconds.
 * Options: --people 100 --rounds 3
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Agent } from "../test/support/agent.ts";
import { authorizationUrl, pkce } from "../test/support/grantor.ts";
import { Connection } from "./connection.ts";
import { quantile, startSurroundings } from "./surroundings.ts";

const { values } = parseArgs({ options: { people: { type: "string", default: "100" }, rounds: { type: "string", default: "3" } } });
const [people, rounds] = [Number(values.people), Number(values.rounds)];
/** Milliseconds between two requests for the JWKS. */
const BETWEEN = 5;

await using surroundings = await startSurroundings(1, { TRUST_PROXY: "127.0.0.1,::1" });
const { grantor } = surroundings.instances;
const client = await grantor.client();
const rows: Record<string, number>[] = [];

for (let round = 0; round < rounds; round++) {
  const waiting = [];
  for (let n = 0; n < people; n++) {
    const person = await grantor.person();
    const agent = new Agent();
    const page = await agent.open(authorizationUrl(grantor.url, client, pkce()));
    waiting.push(async () => {
      const [form] = page.forms;
      const body = new URLSearchParams({ ...form?.fields, email: person.email, password: person.password });
      const began = performance.now();
      // As browsers behind many networks: what is measured is work, not the limits to guessing.
      const consent = await agent.open(form?.action ?? "", { method: "POST", body, headers: { "X-Forwarded-For": `10.${round}.${n}.1` } });
      if (!consent.text.includes('name="decision"')) throw new Error(`${consent.status}: ${consent.text}`);
      return performance.now() - began;
    });
  }
  const quiet = await jwksUntil(sleep(1_000));
  const signedIn = Promise.all(waiting.map((signIn) => signIn()));
  const busy = await jwksUntil(signedIn);
  const times = await signedIn;
  rows.push({
    "sign-in p50 ms": quantile(times, 0.5),
    "sign-in p99 ms": quantile(times, 0.99),
    "JWKS alone p99 ms": quantile(quiet, 0.99),
    "JWKS p50 ms": quantile(busy, 0.5),
    "JWKS p99 ms": quantile(busy, 0.99),
    "JWKS longest ms": Math.max(...busy),
    "JWKS answers": busy.length,
  });
}
console.table(rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value.toFixed(1))]))));

/** Asks for the JWKS until something is done. @returns milliseconds of each answer */
async function jwksUntil(done: Promise<unknown>): Promise<number[]> {
  const connection = new Connection(grantor.url);
  const times: number[] = [];
  let going = true;
  const stop = () => {
    going = false;
  };
  done.then(stop, stop);
  while (going) {
    const began = performance.now();
    const { status } = await connection.send("GET", "/.well-known/jwks.json", {});
    if (status !== 200) throw new Error(`JWKS: ${status}`);
    times.push(performance.now() - began);
    await sleep(BETWEEN);
  }
  connection.close();
  return times;
}
