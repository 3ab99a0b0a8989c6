/** The real command line, in the environment of a test. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import type { Command } from "./command-host.ts";
import { noteJson, secretsIn } from "./secrets-watch.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const HOST = fileURLToPath(new URL("command-host.ts", import.meta.url));
/** Milliseconds; less than a test has, so that what was heard is told. */
const LIMIT = 50_000;

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** As a program of its own. @param env the whole environment: nothing is inherited @param input what comes in on standard input, which is closed then */
export async function grantorProgram(env: Record<string, string>, args: readonly string[], input = ""): Promise<Finished> {
  const child = spawn(process.execPath, [MAIN, ...args], { env, cwd: tmpdir(), stdio: ["pipe", "pipe", "pipe"], timeout: LIMIT });
  child.stdin.on("error", () => {}); // a command that reads nothing has ended already
  child.stdin.end(input);
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return watched({ status: status as number, stdout, stderr });
}

/** What a command has made is shown by it alone: what was known before stands in no output of any. @throws Error when it does */
function watched(finished: Finished): Finished {
  const found = secretsIn(finished.stdout + finished.stderr);
  if (found.length > 0) throw new Error(`the output of a command holds credentials: ${found.join(", ")}`);
  noteJson(finished.stdout);
  return finished;
}

/** The same in a process that has loaded it, and that ends with the test's own. */
export async function grantor(env: Record<string, string>, args: readonly string[], input = ""): Promise<Finished> {
  const turn = before.then(async () => watched(await runInHost({ env, args, input })));
  before = turn.catch(() => {});
  return turn;
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

/** The command before, when it is done: the host runs one at a time. */
let before: Promise<unknown> = Promise.resolve();
let host: ChildProcessWithoutNullStreams | undefined;

async function runInHost(command: Command): Promise<Finished> {
  host ??= startHost();
  const { stdin, stdout, stderr } = host;
  stdin.write(`${JSON.stringify(command)}\n`);
  const [out, err] = await Promise.all([untilEnd(stdout), untilEnd(stderr)]);
  return { status: out.status, stdout: out.text, stderr: err.text };
}

/** Nobody waits for it at the end of a test: the end of its standard input is its own. */
function startHost(): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [HOST], { env: { PATH: process.env.PATH ?? "" }, cwd: tmpdir() });
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr] as unknown as Socket[]) stream.unref();
  child.stdout.setEncoding("utf8");
  child.stderr.setEncoding("utf8");
  child.once("close", () => {
    host = undefined;
  });
  return child;
}

/** What a command writes to one of its streams, and the status that stands behind it. @throws Error when the host ends before, or nothing comes */
function untilEnd(stream: Readable): Promise<{ text: string; status: number }> {
  return new Promise((resolve, reject) => {
    let heard = "";
    const limit = setTimeout(() => settle(() => reject(new Error(`the command does not end:\n${heard}`))), LIMIT);
    const settle = (outcome: () => void) => {
      clearTimeout(limit);
      stream.off("data", listen).off("close", closed);
      outcome();
    };
    const listen = (chunk: string) => {
      heard += chunk;
      const [, written, status] = /^([\s\S]*)\0(\d+)\0$/.exec(heard) ?? [];
      if (written !== undefined) settle(() => resolve({ text: written, status: Number(status) }));
    };
    const closed = () => settle(() => reject(new Error(`the command ended its process:\n${heard}`)));
    stream.on("data", listen).once("close", closed);
  });
}
