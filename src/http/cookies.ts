/**
 * Cookie names, attributes and signatures, the same for our own pages and for the engine's.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";

export interface CookiePlace {
  /** Whether the issuer is https; a loopback issuer may be http. */
  https: boolean;
  /** The path that the cookie is bound to; "/" without one. */
  path?: string;
}

/**
 * The full name of a cookie: on https `__Host-` (RFC 6265bis §4.1.3.2: secure, no domain, path "/"), or `__Secure-` when it is
 * bound to a path; on loopback http the bare name.
 */
export function cookieName(name: string, place: CookiePlace): string {
  if (!place.https) return name;
  return (place.path ?? "/") === "/" ? `__Host-${name}` : `__Secure-${name}`;
}

export interface CookieAttributes {
  httpOnly: true;
  sameSite: "lax";
  secure: boolean;
  path: string;
  overwrite: true;
}

/** The attributes that every cookie of ours has; a lifetime (`maxAge`, milliseconds) is the caller's to add. */
export function cookieAttributes(place: CookiePlace): CookieAttributes {
  return { httpOnly: true, sameSite: "lax", secure: place.https, path: place.path ?? "/", overwrite: true };
}

/**
 * Signs and verifies cookies like the `keygrip` package (same three methods), with HMAC-SHA256 in base64url, over keys that are
 * imported once. A value signed with the first key costs one HMAC to verify, where keygrip takes three and imports a key for each.
 * Give one instance to both Koa applications (`app.keys`) and to the engine (`cookies.keys`).
 */
export class PreparedKeygrip {
  readonly #keys: readonly KeyObject[];
  /** What the first key signed lately: a browser's cookie comes with every request and is sent back with every answer. */
  readonly #signed = new LRUCache<string, string>({ max: 5_000 });

  /** @param keys the first signs, all are accepted. */
  constructor(keys: readonly Buffer[]) {
    if (keys.length === 0) throw new TypeError("PreparedKeygrip needs at least one key");
    this.#keys = keys.map((key) => createSecretKey(key));
  }

  sign(data: string): string {
    let signature = this.#signed.get(data);
    if (signature === undefined) {
      signature = mac(this.#keys[0] as KeyObject, data);
      this.#signed.set(data, signature);
    }
    return signature;
  }

  /**
   * 0 when one of the keys signed `data`, else -1. Never the position of a later key: the `cookies` package would send the signature again by
   * itself, without the lifetime and the path of its cookie. Whoever sets a cookie signs it with the first key anyway.
   */
  index(data: string, digest: string): number {
    const given = Buffer.from(digest);
    const signer = this.#keys.findIndex((key, position) => {
      // What nobody has signed is not remembered, or strangers would fill the memory.
      const expected = Buffer.from(position === 0 ? (this.#signed.get(data) ?? mac(key, data)) : mac(key, data));
      const matches = expected.length === given.length && timingSafeEqual(expected, given);
      if (matches && position === 0) this.#signed.set(data, digest);
      return matches;
    });
    return Math.min(signer, 0);
  }

  verify(data: string, digest: string): boolean {
    return this.index(data, digest) >= 0;
  }
}

const mac = (key: KeyObject, data: string): string => createHmac("sha256", key).update(data).digest("base64url");
