/** A process that opens the key store of the database named on the command line, and prints its published keys. */
import { pino } from "pino";
import { openKeyStore } from "../../src/keys/signing-keys.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";

const [databaseUrl, key] = process.argv.slice(2) as [string, string];
const log = pino({ level: "silent" });
const database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl }, log);
const store = await openKeyStore({
  database,
  feed: { publish: async () => {}, subscribe: () => () => {} },
  sealer: createSealer([Buffer.from(key, "base64url")]),
  policy: { publishAhead: 3600, rotationAge: 86_400, retireSlack: 300 },
  longestToken: async () => 3600,
  onEvent: () => {},
  log,
});
console.log(JSON.stringify(store.snapshot().keys.map(({ kid, alg, state }) => ({ kid, alg, state }))));
await store.close();
await database.close();
