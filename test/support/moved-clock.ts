/**
 * Preloaded into a server under test (`--import`): its clock goes ahead of the real one by as many seconds as the file named in
 * MOVED_CLOCK says, so that a test sees what expires without waiting for it. The stores keep their own time.
 */
import { readFileSync } from "node:fs";

const file = process.env.MOVED_CLOCK;
if (file === undefined) throw new Error("MOVED_CLOCK must name a file");

/** Milliseconds of real time for which the file is not read again. */
const FRESH = 5;
const RealDate = Date;
const realNow = Date.now;
let ahead = 0;
let readAt = Number.NEGATIVE_INFINITY;

function now(): number {
  const elapsed = performance.now();
  if (elapsed - readAt > FRESH) {
    readAt = elapsed;
    ahead = Number(readFileSync(file as string, "utf8")) * 1000;
  }
  return realNow() + ahead;
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, newTarget) => Reflect.construct(target, given.length === 0 ? [now()] : given, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, name, receiver) => (name === "now" ? now : Reflect.get(target, name, receiver)),
});
