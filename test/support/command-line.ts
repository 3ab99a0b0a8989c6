/** The real command line, as a child in the environment of a test. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param env the whole environment: nothing is inherited @param input what comes in on standard input, which is closed then */
export async function grantor(env: Record<string, string>, args: readonly string[], input = ""): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], { env, cwd: tmpdir(), stdio: ["pipe", "pipe", "pipe"], timeout: 60_000 });
  child.stdin.on("error", () => {}); // a command that reads nothing has ended already
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status: status as number, stdout, stderr };
}

/** With `--json`. @throws Error with what it said when it failed */
export async function grantorJson<T = Record<string, unknown>>(
  env: Record<string, string>,
  args: readonly string[],
  input = "",
): Promise<T> {
  const { status, stdout, stderr } = await grantor(env, [...args, "--json"], input);
  if (status !== 0) throw new Error(`grantor ${args.join(" ")} ended with ${status}:\n${stderr}`);
  return JSON.parse(stdout) as T;
}
