/** A process that migrates the database and the folder named on the command line, and prints what it applied. */
import { pino } from "pino";
import { migrate } from "../../src/storage/migrations.ts";

const [url, folder] = process.argv.slice(2) as [string, string];
console.log(JSON.stringify(await migrate(url, pino({ level: "silent" }), new URL(folder))));
