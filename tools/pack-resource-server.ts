/**
 * `npm run pack:resource-server [-- DIRECTORY]`: packs src/resource-server as a package of its own, compiled to JavaScript with its types, into
 * the directory (by default this one), and prints the tarball's path.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCE = join(ROOT, "src/resource-server");
const TSC = join(ROOT, "node_modules/.bin/tsc");

const readPackage = (folder: string): { version: string } => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));

/** What it prints; its errors go where ours go. */
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

/** @returns the tarball's path */
function pack(into: string): string {
  const staging = mkdtempSync(join(tmpdir(), "grantor-resource-server-"));
  try {
    run(TSC, "-p", SOURCE, "--outDir", staging);
    // It is released with the server, under the same version.
    const { version } = readPackage(ROOT);
    writeFileSync(join(staging, "package.json"), `${JSON.stringify({ ...readPackage(SOURCE), version }, null, 2)}\n`);
    copyFileSync(join(SOURCE, "README.md"), join(staging, "README.md"));
    copyFileSync(join(ROOT, "LICENSE"), join(staging, "LICENSE"));
    return join(into, run("npm", "pack", "--silent", "--pack-destination", into, staging).trim());
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

const [directory = ".", ...rest] = process.argv.slice(2);
if (rest.length > 0) {
  console.error("usage: node tools/pack-resource-server.ts [DIRECTORY]");
  process.exitCode = 2;
} else console.log(pack(resolve(directory)));
