/**
 * Whether time tells a known address from an unknown one: sign-in with a wrong password, sign-up and reset, by turns for one and the other.
 * The medians should differ by less than 20 %. Options: --addresses 60
 */
import { parseArgs } from "node:util";
import { Agent } from "../test/support/agent.ts";
import { authorizationUrl, pkce } from "../test/support/grantor.ts";
import { quantile, startSurroundings } from "./surroundings.ts";

const { values } = parseArgs({ options: { addresses: { type: "string", default: "60" } } });
const addresses = Number(values.addresses);
/** Of each kind, before it counts. */
const WARM_UP = 10;

await using surroundings = await startSurroundings(1, { TRUST_PROXY: "127.0.0.1,::1" });
const { grantor } = surroundings.instances;
const { accounts, passwords } = grantor.services.people;
const passwordHash = await passwords.hash("the right words, which nobody types");
const forms: [string, string, Record<string, string>][] = [
  ["sign-in", authorizationUrl(grantor.url, await grantor.client(), pkce()), { password: "a password that is wrong" }],
  ["sign-up", `${grantor.url}/sign-up`, { password: "another few words of mine" }],
  ["reset", `${grantor.url}/reset-password`, {}],
];
let networks = 0;

const rows = [];
for (const [form, url, typed] of forms) {
  const known = Array.from({ length: addresses + WARM_UP }, (_, n) => `known-${form}-${100 + n}@example.org`);
  for (const email of known) await accounts.create({ email, emailVerified: true, passwordHash });
  const agent = new Agent();
  const page = await agent.open(url);
  const { action = "", fields } = page.forms[0] ?? {};
  const post = async (email: string): Promise<number> => {
    networks += 1;
    const headers = { "X-Forwarded-For": `10.${networks >> 8}.${networks & 255}.1` };
    const began = performance.now();
    const answer = await agent.open(action, { method: "POST", body: new URLSearchParams({ ...fields, ...typed, email }), headers });
    const took = performance.now() - began;
    if (answer.status !== (form === "sign-in" ? 401 : 200)) throw new Error(`${form}: ${answer.status}\n${answer.text}`);
    return took;
  };
  const times: Record<"known" | "unknown", number[]> = { known: [], unknown: [] };
  for (const [n, email] of known.entries()) {
    // Neither always comes first.
    for (const kind of n % 2 ? (["known", "unknown"] as const) : (["unknown", "known"] as const)) {
      const took = await post(kind === "known" ? email : email.replace("known", "never"));
      if (n >= WARM_UP) times[kind].push(took);
    }
  }
  const [one, other] = [quantile(times.known, 0.5), quantile(times.unknown, 0.5)];
  rows.push({
    form,
    "known p50 ms": Number(one.toFixed(2)),
    "unknown p50 ms": Number(other.toFixed(2)),
    "apart %": Number(((Math.abs(one - other) / Math.min(one, other)) * 100).toFixed(1)),
  });
}
console.table(rows);
