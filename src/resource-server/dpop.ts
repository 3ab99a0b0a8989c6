/** DPoP (RFC 9449): whoever presents a bound token proves that it has the key. */
import { base64url, calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from "jose";
import { hmacKey } from "./hmac.ts";
import { headerOf, type RequestLike, urlOf } from "./presented.ts";
import { Refusal, Unavailable } from "./refusal.ts";

export interface DpopOptions {
  /** Algorithms of proofs; by default those of RFC 7518 and RFC 8037 with a public key. */
  readonly algorithms?: readonly string[];
  /** Seconds for which a proof is good after its `iat`; 60 by default. */
  readonly maxAge?: number;
  /** Proofs must hold a nonce that this API gave out (RFC 9449 §9), made with this secret of 32 bytes or more: the same in all its processes. */
  readonly nonceSecret?: string | Uint8Array;
  /** Where proofs are remembered, so that none is used twice; by default in the memory of this process. */
  readonly replays?: ReplayStore;
}

/** Shared by the processes of an API, a proof is used once at all of them. */
export interface ReplayStore {
  /**
   * Remembers a proof, in one atomic step.
   * @param until seconds since the epoch: it may be forgotten then
   * @returns whether it was not there before
   */
  remember(proof: string, until: number): boolean | Promise<boolean>;
}

const MAX_AGE = 60;
const LONGEST_JTI = 256;
/** Far more than one process verifies in the life of a proof; each takes some 150 bytes. */
const MOST_PROOFS = 500_000;
/** Seconds for which a nonce is given out; it is good for as long again. */
const NONCE_LIFE = 60;

export interface DpopProof {
  readonly request: RequestLike;
  readonly token: string;
  /** The thumbprint that the token is bound to (`cnf.jkt`). */
  readonly jkt: string;
}

export interface DpopContext {
  readonly algorithms: string[];
  /** Seconds. */
  readonly clockTolerance: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The API's own; undefined: what requests say. */
  readonly origin: string | undefined;
}

/**
 * Checks proofs by RFC 9449 §4.3.
 * @returns a function that throws Refusal, and Unavailable when proofs cannot be remembered
 */
export function createProofCheck(options: DpopOptions, context: DpopContext): (proof: DpopProof) => Promise<void> {
  const { algorithms, clockTolerance, now, origin } = context;
  const { maxAge = MAX_AGE, nonceSecret, replays = new MemoryReplays(now) } = options;
  const nonces = nonceSecret === undefined ? undefined : new Nonces(nonceSecret, now);
  const invalid = (why: string, cause?: unknown) => new Refusal("invalid_dpop_proof", why, { cause });

  const first = async (proof: string, until: number): Promise<boolean> => {
    try {
      return await replays.remember(proof, until);
    } catch (cause) {
      throw new Unavailable("dpop proofs cannot be remembered", { cause });
    }
  };

  return async ({ request, token, jkt }) => {
    const header = headerOf(request, "dpop");
    if (header === undefined) throw invalid("the dpop header is missing");
    const { payload, protectedHeader } = await jwtVerify(header, EmbeddedJWK, {
      algorithms,
      typ: "dpop+jwt",
      requiredClaims: ["jti", "htm", "htu", "iat", "ath"],
      clockTolerance,
      currentDate: new Date(now()),
    }).catch((cause: unknown) => {
      throw invalid("the dpop proof is not valid", cause);
    });

    if (payload.htm !== request.method) throw invalid("the dpop proof is for another method");
    const url = urlOf(request, origin);
    if (url === undefined || place(payload.htu) !== place(url.href)) throw invalid("the dpop proof is for another url");
    if (payload.ath !== (await sha256(token))) throw invalid("the dpop proof is for another access token");
    // The binding is the token's, so it is the token that is not valid here.
    if ((await calculateJwkThumbprint(protectedHeader.jwk as JWK, "sha256")) !== jkt)
      throw new Refusal("invalid_token", "the access token is bound to another key");

    if (nonces !== undefined && !(await nonces.accepts(payload.nonce))) {
      throw new Refusal("use_dpop_nonce", "the dpop proof needs a nonce of this server", { nonce: await nonces.current() });
    }
    const { iat, jti } = payload as { iat: number; jti: unknown };
    const age = now() / 1000 - iat;
    if (age > maxAge + clockTolerance || age < -clockTolerance) throw invalid("the dpop proof is not of now");
    if (typeof jti !== "string" || jti.length > LONGEST_JTI) throw invalid("the dpop proof has no usable jti");
    if (!(await first(`${jkt}.${jti}`, Math.ceil(iat + maxAge + clockTolerance)))) throw invalid("the dpop proof was used before");
  };
}

/** RFC 9449 §4.3: without query and fragment, normalized by RFC 3986 §6.2.2 and §6.2.3. */
function place(url: unknown): string | undefined {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined;
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/%[0-9a-f]{2}/gi, normalizedOctet);
}

function normalizedOctet(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
}

const utf8 = new TextEncoder();
const sha256 = async (text: string): Promise<string> =>
  base64url.encode(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8.encode(text))));

/** Of one process. When it is full nothing is let through: forgetting early would let a proof be used twice. */
class MemoryReplays implements ReplayStore {
  readonly #now: () => number;
  /** Until when, in the order in which they came, which is about that of their end. */
  readonly #proofs = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  remember(proof: string, until: number): boolean {
    const now = this.#now() / 1000;
    for (const [oldest, end] of this.#proofs) {
      if (end > now) break;
      this.#proofs.delete(oldest);
    }
    if (this.#proofs.has(proof)) return false;
    if (this.#proofs.size >= MOST_PROOFS) throw new Unavailable("too many dpop proofs at once");
    this.#proofs.set(proof, until);
    return true;
  }
}

/** Made of the time, so that nothing need be kept. */
class Nonces {
  readonly #key: ReturnType<typeof hmacKey>;
  readonly #now: () => number;

  constructor(secret: string | Uint8Array, now: () => number) {
    this.#key = hmacKey("dpop.nonceSecret", secret, "sign");
    this.#now = now;
  }

  current(): Promise<string> {
    return this.#of(this.#period());
  }

  async accepts(nonce: unknown): Promise<boolean> {
    const period = this.#period();
    return nonce === (await this.#of(period)) || nonce === (await this.#of(period - 1));
  }

  #period(): number {
    return Math.floor(this.#now() / 1000 / NONCE_LIFE);
  }

  async #of(period: number): Promise<string> {
    const signature = await crypto.subtle.sign("HMAC", await this.#key, utf8.encode(`grantor resource server dpop nonce ${period}`));
    return base64url.encode(new Uint8Array(signature));
  }
}
