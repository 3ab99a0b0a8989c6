/** A process that has loaded the command line and runs one command after the other, so that a test of many need not wait for as many starts. */
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { runCommand } from "../../src/admin/command-line.ts";

export interface Command {
  readonly env: Record<string, string>;
  readonly args: readonly string[];
  /** What comes in on standard input. */
  readonly input: string;
}

/** Stands on stdout and on stderr behind what a command wrote there. */
const endOf = (status: number): string => `\0${status}\0`;

for await (const line of createInterface({ input: process.stdin })) {
  const { env, args, input } = JSON.parse(line) as Command;
  process.env = env;
  Object.defineProperty(process, "stdin", { value: Readable.from([input]), configurable: true });
  const status = await runCommand([...args]);
  process.stdout.removeAllListeners("error"); // one of each command, which is the only one of its process elsewhere
  process.stdout.write(endOf(status));
  process.stderr.write(endOf(status));
}
