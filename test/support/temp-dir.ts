/** A directory of the test's own, which goes away with it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TempDir {
  /** Absolute, and short enough for Unix sockets in it. */
  readonly path: string;
  remove(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export function tempDir(name = "test"): TempDir {
  const path = mkdtempSync(join(tmpdir(), `grantor-${name}-`));
  const remove = () => rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  return {
    path,
    remove,
    async [Symbol.asyncDispose]() {
      remove();
    },
  };
}
