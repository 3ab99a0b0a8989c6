/** A process that opens the key store of the database named on the command line, and prints the ids of its current keys. */
import { pino } from "pino";
import { openKeyStore } from "../../src/keys/signing-keys.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";

const [databaseUrl, key] = process.argv.slice(2) as [string, string];
const log = pino({ level: "silent" });
const database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl }, log);
const feed = { publish: async () => {}, subscribe: () => () => {} };
const store = await openKeyStore({ database, feed, sealer: createSealer([Buffer.from(key, "base64url")]), now: Date.now, log });
console.log(JSON.stringify(store.snapshot().keys.map(({ kid, alg, state }) => ({ kid, alg, state }))));
await database.close();
