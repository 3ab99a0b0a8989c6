/**
 * Tokens whose signature and claims were verified a moment ago: an application sends the same token with every request, and its signature is as
 * good as it was. What may have changed since is checked each time: the key, the time, the status, what the request needs.
 */
import type { JWTHeaderParameters } from "jose";
import type { Key } from "./issuer.ts";

/** Where the status of a token is. */
export interface StatusPlace {
  readonly uri: string;
  readonly idx: number;
}

export interface VerifiedToken {
  readonly header: JWTHeaderParameters;
  /** That it was verified with; another object after every fetch of the JWKS, so that no signature outlives its key there. */
  readonly key: Key;
  /** As JSON: whoever gets the claims may change them. */
  readonly claims: string;
  /** Seconds since the epoch. */
  readonly exp: number;
  readonly nbf: number | undefined;
  /** Undefined: it has no status, or nobody asks. */
  readonly place: StatusPlace | undefined;
}

export class VerifiedTokens {
  readonly #half: number;
  #newer = new Map<string, VerifiedToken>();
  #older = new Map<string, VerifiedToken>();

  /** @param max tokens that are kept at once; those that were not used for the longest go first */
  constructor(max: number) {
    this.#half = Math.ceil(max / 2);
  }

  get(token: string): VerifiedToken | undefined {
    const known = this.#newer.get(token);
    if (known !== undefined) return known;
    const old = this.#older.get(token);
    if (old !== undefined) this.add(token, old);
    return old;
  }

  add(token: string, verified: VerifiedToken): void {
    if (this.#half === 0) return;
    if (this.#newer.size >= this.#half) [this.#older, this.#newer] = [this.#newer, new Map()];
    this.#newer.set(token, verified);
  }
}
