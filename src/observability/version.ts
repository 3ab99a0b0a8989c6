import { readFileSync } from "node:fs";

/** The release, as package.json names it. */
export function version(): string {
  const { version: current } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return current;
}
