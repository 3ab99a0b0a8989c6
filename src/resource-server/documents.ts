/** Documents of the issuer: fetched with limits, one fetch in flight for each. */
import { Unavailable } from "./refusal.ts";

/** The part of `fetch` that is used. */
export type Fetch = (
  url: string,
  init: { headers: Record<string, string>; redirect: "manual"; signal: AbortSignal },
) => Promise<FetchResponse>;

export interface FetchResponse {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: unknown;
  text(): Promise<string>;
}

/** One document, as it was answered. */
export interface Answer {
  /** 200, 304 or 404. */
  readonly status: number;
  readonly text: string;
  readonly headers: { get(name: string): string | null };
}

export interface Documents {
  /**
   * Gets what is at a URL of the issuer; redirects are not followed.
   * @param limit bytes
   * @throws Unavailable when it cannot be had
   */
  get(url: string, options: { accept: string; limit: number; etag?: string | undefined }): Promise<Answer>;
}

/** Seconds: what a server may make us wait for at most. */
const LONGEST_RETRY_AFTER = 60;

/** @param timeout milliseconds for one fetch, its body included */
export function createDocuments(fetch: Fetch, timeout: number): Documents {
  return {
    async get(url, { accept, limit, etag }) {
      try {
        const response = await fetch(url, {
          headers: { Accept: accept, ...(etag !== undefined && { "If-None-Match": etag }) },
          redirect: "manual",
          signal: AbortSignal.timeout(timeout),
        });
        const { status, headers } = response;
        if (status === 200) return { status, headers, text: await boundedText(response, limit) };
        await discard(response);
        if (status === 304 || status === 404) return { status, headers, text: "" };
        throw new Unavailable(`${url} answers ${status}`, retryAfter(headers.get("Retry-After")));
      } catch (cause) {
        throw cause instanceof Unavailable ? cause : new Unavailable(`${url} cannot be fetched`, { cause });
      }
    },
  };
}

function retryAfter(header: string | null): { retryAfter?: number } {
  const seconds = Number(header ?? Number.NaN);
  return Number.isInteger(seconds) && seconds > 0 ? { retryAfter: Math.min(seconds, LONGEST_RETRY_AFTER) } : {};
}

async function boundedText(response: FetchResponse, limit: number): Promise<string> {
  if (Number(response.headers.get("Content-Length") ?? 0) > limit) {
    await discard(response);
    throw new Unavailable("the issuer's answer is too long");
  }
  if (response.body === null || response.body === undefined) return response.text();
  return new TextDecoder().decode(await readBounded(response.body as ReadableStream<Uint8Array>, limit));
}

const discard = async ({ body }: FetchResponse): Promise<void> => {
  await (body as ReadableStream | null | undefined)?.cancel().catch(() => undefined);
};

/** @throws Unavailable when there is more than `limit` bytes; no more of it is read then */
export async function readBounded(stream: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array> {
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    length += read.value.length;
    if (length > limit) {
      await reader.cancel().catch(() => undefined);
      throw new Unavailable(`the issuer's answer is longer than ${limit} bytes`);
    }
    chunks.push(read.value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** A Worker may not wait for a fetch that another request began, and what goes on behind an answer is cut off. */
const eachForItself = (globalThis as { navigator?: { userAgent?: string } }).navigator?.userAgent === "Cloudflare-Workers";

/** Milliseconds to the next try after so many failures in a row; the first is repeated at once. */
const pause = (failures: number): number => (failures < 2 ? 0 : Math.min(1000, 50 * 2 ** failures));

/** Work that is done once however many ask for it, and not again at once where it keeps failing. */
export class SharedWork {
  readonly #work: () => Promise<void>;
  readonly #now: () => number;
  #running: Promise<void> | undefined;
  #error: unknown;
  #failedAt = 0;
  /** In a row. */
  failures = 0;

  /** @param now milliseconds since the epoch */
  constructor(work: () => Promise<void>, now: () => number) {
    this.#work = work;
    this.#now = now;
  }

  /** @throws what the work throws, or what it threw a moment ago */
  run(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    const since = this.#now() - this.#failedAt;
    if (this.failures > 0 && since >= 0 && since < pause(this.failures)) return Promise.reject(this.#error);
    const running = this.#work()
      .then(
        () => {
          this.failures = 0;
        },
        (error: unknown) => {
          this.failures += 1;
          this.#failedAt = this.#now();
          this.#error = error;
          throw error;
        },
      )
      .finally(() => {
        if (this.#running === running) this.#running = undefined;
      });
    if (!eachForItself) this.#running = running;
    return running;
  }

  /** @returns whether there is a background here */
  runInBackground(): boolean {
    if (eachForItself) return false;
    this.run().catch(() => undefined);
    return true;
  }
}
