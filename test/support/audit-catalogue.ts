/** The events that docs/audit-log.md names. */
import { readFileSync } from "node:fs";

const page = readFileSync(new URL("../../docs/audit-log.md", import.meta.url), "utf8");
const table = page.slice(page.indexOf("## Events"));

export const CATALOGUE: ReadonlySet<string> = new Set(
  [...table.matchAll(/^\|([^|]+)\|/gm)].flatMap(([, cell = ""]) => [...cell.matchAll(/`([a-z_.]+)`/g)].map(([, event]) => event as string)),
);
