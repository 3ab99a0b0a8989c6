/** A process that takes the lock named on the command line, counts in a file as somebody who trusts it would, and holds it once if told to. */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { withProcessLock } from "../../src/storage/process-lock.ts";

const [path, counter, times, hold] = process.argv.slice(2) as [string, string, string, string?];
for (let n = 0; n < Number(times); n++) {
  await withProcessLock(path, 60_000, async () => {
    const count = Number(readFileSync(counter, "utf8"));
    await sleep(1);
    writeFileSync(counter, String(count + 1));
    if (hold === "hold") {
      console.log("held");
      await sleep(60_000);
    }
  });
}
