/**
 * `npm run bench`: flows of the server (flows.ts, with its options). `npm run bench -- verification`, `-- status-list` and `-- revocations`:
 * access tokens at resource servers. `-- sign-ins`, `-- enumeration`: people who sign in, and what strangers learn of them. `-- scale`: a million
 * accounts. `-- transfer`: accounts into a file and out of it.
 */
const BENCHES: Record<string, () => Promise<unknown>> = {
  flows: () => import("./flows.ts"),
  verification: () => import("./verification.ts"),
  "status-list": () => import("./status-list.ts"),
  "sign-ins": () => import("./sign-ins.ts"),
  enumeration: () => import("./enumeration.ts"),
  revocations: () => import("./revocations.ts"),
  scale: () => import("./scale.ts"),
  transfer: () => import("./transfer.ts"),
};

const named = process.argv[2]?.startsWith("-") === false ? process.argv.splice(2, 1)[0] : "flows";
const bench = BENCHES[named ?? ""];
if (bench === undefined || process.argv.includes("--help")) {
  console.error(`usage: npm run bench [-- ${Object.keys(BENCHES).join("|")}] [-- OPTIONS]; options of flows stand in bench/flows.ts`);
  process.exitCode = 2;
} else {
  await bench();
}
