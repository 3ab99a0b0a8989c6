/** A program that a test starts and that cannot outlive it, however the test's process ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";

export interface GuardedProcess {
  /** Of the program itself, so that signals reach it. */
  readonly pid: number;
  /** The exit status; 128 + n when signal n ended it. */
  readonly exited: Promise<number>;
  hasExited(): boolean;
  /** Everything that the program has written to stdout and stderr so far. */
  output(): string;
  /** Resolves with the first match in the output, past or future. Rejects when the program ends without it. */
  waitForOutput(pattern: RegExp): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
}

export interface GuardedOptions {
  /** The whole environment of the program: nothing is inherited. */
  env: Record<string, string>;
  cwd?: string;
}

/** The shell reads a pipe from us: at its end, which the kernel sends when we are gone, it kills the program. */
const GUARD = `
trap "" HUP INT TERM
exec 4<&0
(trap - HUP INT TERM; exec "$@") </dev/null 3>&- 4<&- &
program=$!
echo "$program" >&3
exec 3>&- </dev/null
{ while read -r line; do :; done; kill -KILL "$program"; } <&4 4<&- >/dev/null 2>&1 &
reader=$!
exec 4<&-
wait "$program"
status=$?
kill -KILL "$reader"
exit "$status"
`;

/** Starts the program; resolves once it has a process id. */
export async function startGuarded(command: readonly string[], options: GuardedOptions): Promise<GuardedProcess> {
  const guard = spawn("/bin/sh", ["-c", GUARD, "sh", ...command], { ...options, stdio: ["pipe", "pipe", "pipe", "pipe"] });
  const [stdin, stdout, stderr, announcement] = guard.stdio as [Writable, Readable, Readable, Readable, undefined];
  stdin.on("error", () => {}); // the guard may be gone when the pipe is closed

  let output = "";
  const listeners = new Set<() => void>();
  const notify = () => {
    for (const listener of [...listeners]) listener();
  };
  for (const stream of [stdout, stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      notify();
    });
  }

  let closed = false;
  const exited = once(guard, "close").then(([status]) => {
    closed = true;
    notify();
    return status as number;
  });
  exited.catch(() => {});
  const pid = Number(await text(announcement));
  if (!Number.isSafeInteger(pid) || pid <= 0) throw new Error(`${command[0]} did not start: ${output}`);

  return {
    pid,
    exited,
    hasExited: () => closed,
    output: () => output,
    waitForOutput: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(output);
          if (match === null && !closed) return;
          listeners.delete(look);
          if (match === null) reject(new Error(`${command[0]} ended without ${pattern}:\n${output}`));
          else resolve(match);
        };
        listeners.add(look);
        look();
      }),
    signal(name) {
      if (!closed) process.kill(pid, name);
    },
  };
}
