/** A quick start as somebody gets it: copied from its page into an empty folder, and started as the page says. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { type GuardedProcess, startGuarded } from "./guarded-process.ts";

const NODE_MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

export interface CopiedQuickStart {
  readonly directory: string;
  /** The page's words about what is still missing; empty when nothing is. */
  readonly missing: string;
  /** Variables for which it has a place. */
  readonly secrets: readonly string[];
  /** The last line of what starts it. */
  readonly run: string;
}

/** Copies what stands on the page, character by character. @param page at the quick start */
export async function copyQuickStart(page: Page, directory: string): Promise<CopiedQuickStart> {
  mkdirSync(directory, { recursive: true });
  for (const source of await page.locator(".source").all()) {
    const name = (await source.getByRole("heading").textContent()) ?? "";
    writeFileSync(join(directory, name), (await source.locator("pre").textContent()) ?? "");
  }
  const block = async (label: string) => {
    const found = page.getByRole("region", { name: label, exact: true });
    return (await found.count()) === 0 ? "" : ((await found.textContent()) ?? "");
  };
  const notice = page.locator(".notice");
  return {
    directory,
    missing: (await notice.count()) === 0 ? "" : ((await notice.textContent()) ?? ""),
    secrets: [...(await block("Give it what is secret")).matchAll(/^export (\w+)='…'$/gm)].map(([, name]) => name as string),
    run: (await block("Start it")).trimEnd().split("\n").at(-1) ?? "",
  };
}

/** What `npm start` runs of a JavaScript one, beside the packages that `npm install` would put there. */
export function npmStart({ directory }: CopiedQuickStart): readonly [string, ...string[]] {
  symlinkSync(NODE_MODULES, join(directory, "node_modules"), "dir");
  const { scripts } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { scripts: { start: string } };
  const [node, ...args] = scripts.start.split(" ");
  if (node !== "node") throw new Error(`npm start runs ${scripts.start}`);
  return [process.execPath, ...args];
}

/** Starts a JavaScript one. Resolves when it has said that it listens, or whatever else is waited for; it gets nothing of our environment. */
export async function startNodeQuickStart(
  quickStart: CopiedQuickStart,
  env: Record<string, string> = {},
  said = /^Open |listens on port/m,
): Promise<GuardedProcess> {
  const program = await startGuarded(npmStart(quickStart), { cwd: quickStart.directory, env });
  await program.waitForOutput(said);
  return program;
}
