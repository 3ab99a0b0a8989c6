/** The real browser for tests: Debian's Chromium, driven by playwright-core. */
import { type Browser, chromium } from "playwright-core";
import { findProgram } from "./programs.ts";

/** Installs nothing when it is there; also the set-up of a test run, so that its workers do not install at once. */
export const findChromium = (): string => findProgram(["chromium", "chromium-browser", "google-chrome"], "chromium");

/** The caller closes it. Nothing of a profile is kept. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    // Without a sandbox, since tests run as root in containers; without traffic of its own, which would wait for a network that is not there.
    // Nobody looks on: without the process that a graphics card would have, whose work the processor does here.
    args: ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}
