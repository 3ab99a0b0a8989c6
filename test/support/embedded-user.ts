/** A process that uses the embedded database of the folder named on the command line, until its standard input ends. */
import { pino } from "pino";
import { startEmbeddedPostgres } from "../../src/storage/embedded-postgres.ts";

const server = await startEmbeddedPostgres({ dataDir: process.argv[2] as string, log: pino({ level: "warn" }, pino.destination(2)) });
console.log(server.url);
process.stdin.resume().once("end", () => server.stop());
