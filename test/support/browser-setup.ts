/** Once per test run, before any worker: a Chromium that is there. */
import { findChromium } from "./chromium.ts";

export default function setup(): void {
  findChromium();
}
