/** What a command reads from whoever runs it. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";

/** Whether somebody sits there who can be asked. */
export const isInteractive = (): boolean => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** Asks on the terminal without showing what is typed. @throws {Error} when the question is broken off */
export async function askHidden(question: string): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  process.stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once("SIGINT", () => reject(new Error("Nothing was done.")));
      reader.once("close", () => reject(new Error("Nothing was done.")));
      reader.question("").then(resolve, reject);
    });
  } finally {
    reader.close();
    process.stderr.write("\n");
  }
}

/** Everything that comes in on standard input, without the line break at its end. */
export async function readInput(): Promise<string> {
  return (await text(process.stdin)).replace(/\r?\n$/, "");
}
