/** Whether a password is in a collection of leaked ones, asked by k-anonymity: only the first 5 digits of its SHA-1 leave this server. */
import { createHash } from "node:crypto";
import type { Logger } from "../observability/logger.ts";

/** Milliseconds. Whoever chooses a password waits for it. */
const TIMEOUT_MS = 2_000;
/** Bytes. A padded answer of Have I Been Pwned has some 80 kB. */
const MAX_ANSWER = 1_048_576;
const PREFIX_LENGTH = 5;

/** @returns false as well when the collection cannot be asked: it is a help, and people go on without */
export type IsBreached = (password: string) => Promise<boolean>;

/**
 * @param url to which the first 5 hexadecimal digits are appended
 * @see https://haveibeenpwned.com/API/v3#PwnedPasswords
 */
export function breachedPasswords(url: string, log: Logger, timeout = TIMEOUT_MS): IsBreached {
  return async (password) => {
    const digest = createHash("sha1").update(password).digest("hex").toUpperCase();
    try {
      const response = await fetch(url + digest.slice(0, PREFIX_LENGTH), {
        // Padding: the length of the answer tells nobody on the way which prefix was asked for.
        headers: { "Add-Padding": "true", "User-Agent": "Grantor" },
        redirect: "error",
        signal: AbortSignal.timeout(timeout),
      });
      if (response.status !== 200) throw new Error(`it answered ${response.status}`);
      return lists(await readBounded(response), digest.slice(PREFIX_LENGTH));
    } catch (err) {
      log.warn({ err }, "leaked passwords could not be asked for; this one was taken without");
      return false;
    }
  };
}

/** Lines of `SUFFIX:COUNT`; what pads has the count 0. */
const lists = (answer: string, suffix: string): boolean =>
  answer.split("\n").some((line) => line.slice(0, suffix.length).toUpperCase() === suffix && Number(line.slice(suffix.length + 1)) > 0);

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let answer = "";
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > MAX_ANSWER) throw new Error("its answer is too long");
    answer += decoder.decode(chunk, { stream: true });
  }
  return answer;
}
