import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Half a year after the last sign-in a browser is a stranger again. */
const LIFETIME_SECONDS = 180 * 86_400;
/** People who share a browser; the cookie stays small. */
const MAX_TOKENS = 5;
const TOKEN = /^([\w-]{16})\.([0-9a-z]{1,10})\.([\w-]{43})$/;

/**
 * Proof that a browser has signed in to an account before. It opens nothing: it only gives the browser attempts of its own, which nobody
 * else can use up. It names no account, so a stolen cookie tells nothing either.
 */
export interface KnownDevices {
  /** @returns the cookie's new value, which keeps what other accounts had in it, and its lifetime in seconds */
  remember(email: string, cookie: string | undefined): { value: string; maxAge: number };
  /** The id of this browser for this account; `undefined` for a stranger. */
  recognize(email: string, cookie: string | undefined): string | undefined;
}

/** @param keys the first signs, all are accepted  @param now milliseconds since the epoch */
export function createKnownDevices(keys: readonly Buffer[], now: () => number = Date.now): KnownDevices {
  const [signingKey] = keys;
  if (signingKey === undefined) throw new TypeError("known devices need a key");

  function mac(key: Buffer, id: string, expires: string, email: string): Buffer {
    return createHmac("sha256", key).update(`${id}.${expires}.${email}`).digest();
  }

  function idOf(token: string, email: string): string | undefined {
    const [, id = "", expires = "", signature = ""] = TOKEN.exec(token) ?? [];
    if (id === "" || Number.parseInt(expires, 36) * 1000 <= now()) return undefined;
    const given = Buffer.from(signature, "base64url");
    return keys.some((key) => timingSafeEqual(mac(key, id, expires, email), given)) ? id : undefined;
  }

  const tokensOf = (cookie: string | undefined) =>
    (cookie ?? "")
      .split("~")
      .slice(0, MAX_TOKENS)
      .filter((token) => TOKEN.test(token));

  return {
    remember(email, cookie) {
      const id = randomBytes(12).toString("base64url");
      const expires = Math.floor(now() / 1000 + LIFETIME_SECONDS).toString(36);
      const token = `${id}.${expires}.${mac(signingKey, id, expires, email).toString("base64url")}`;
      const others = tokensOf(cookie).filter((other) => idOf(other, email) === undefined);
      return { value: [token, ...others].slice(0, MAX_TOKENS).join("~"), maxAge: LIFETIME_SECONDS };
    },
    recognize(email, cookie) {
      for (const token of tokensOf(cookie)) {
        const id = idOf(token, email);
        if (id !== undefined) return id;
      }
      return undefined;
    },
  };
}
