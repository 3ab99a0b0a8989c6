import { defineConfig } from "vitest/config";

/** Milliseconds. Far above what a test needs on two busy cores: a timeout means that something hangs. */
const TIMEOUT = 60_000;
const FAULT_TIMEOUT = 180_000;

const STORES = "test/support/stores-setup.ts";
const BROWSER = "test/support/browser-setup.ts";

const project = (name: string, globalSetup: string[] = [], testTimeout = TIMEOUT) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    globalSetup,
    testTimeout,
    hookTimeout: testTimeout,
    teardownTimeout: TIMEOUT,
    // As long as `waitFor` waits (test/support/wait-for.ts) where a server runs: a second, the default, is little on a busy machine.
    expect: { poll: { timeout: testTimeout / 2 } },
  },
});

export default defineConfig({
  test: {
    // The tests import the sources as Node does in production, with types stripped and nothing transformed.
    experimental: { viteModuleRunner: false },
    pool: "forks",
    // More than there are cores: tests of servers wait much of their time.
    maxWorkers: 3,
    retry: 0,
    passWithNoTests: false,
    allowOnly: false,
    env: { NODE_ENV: "test" },
    coverage: { provider: "v8", include: ["src/**"], exclude: ["src/storage/generated/**"], reportsDirectory: "coverage" },
    projects: [
      // In the same processes one after the other: most of their time was the loading of modules. What changes its process for good is in contract/.
      { ...project("unit"), test: { ...project("unit").test, isolate: false } },
      project("contract", [STORES]),
      project("flows", [STORES]),
      project("browser", [STORES, BROWSER]),
      project("faults", [STORES], FAULT_TIMEOUT),
    ],
  },
});
