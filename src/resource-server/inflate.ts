/** ZLIB (RFC 1950) on every runtime. */
import { readBounded } from "./documents.ts";
import { Unavailable } from "./refusal.ts";

/** Named by a variable, so that a bundler for a runtime without it does not look for it. */
const ZLIB: string = "node:zlib";

/**
 * @param limit bytes of what comes out: a small input can become very long
 * @throws Error when the input is no ZLIB stream, or longer than that
 */
export async function inflate(compressed: Uint8Array, limit: number): Promise<Uint8Array> {
  if (typeof DecompressionStream === "function") {
    const stream = new Blob([compressed as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream("deflate"));
    return readBounded(stream, limit);
  }
  const { inflateSync } = (await import(ZLIB)) as { inflateSync(data: Uint8Array, options: { maxOutputLength: number }): Uint8Array };
  try {
    return inflateSync(compressed, { maxOutputLength: limit });
  } catch (cause) {
    throw new Unavailable("the list cannot be decompressed", { cause });
  }
}
