/** Programs that are no npm packages: found on the PATH or installed, never silently missing. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * The path of the first of `names` on the PATH. As root on Debian the package is installed first when there is none.
 * @throws Error that says what to install
 */
export function findProgram(names: readonly string[], debianPackage: string): string {
  const found = onPath(names);
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    apt("update");
    apt("install", "-y", "--no-install-recommends", debianPackage);
    const installed = onPath(names);
    if (installed !== undefined) return installed;
  }
  throw new Error(
    `These tests need ${names.join(" or ")}: install it (on Debian: apt-get install ${debianPackage}) and have it on the PATH.`,
  );
}

function onPath(names: readonly string[]): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).concat("/usr/bin", "/usr/local/bin");
  for (const name of names) {
    for (const folder of folders) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {}
    }
  }
  return undefined;
}

function apt(...args: string[]): void {
  const { status, stderr, error } = spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`apt-get ${args.join(" ")} failed: ${stderr}`, { cause: error });
}
