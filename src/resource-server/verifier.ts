/**
 * Verifies access tokens in a resource server, by itself: signature, claims, and, by the issuer's status lists, whether they were ended since
 * (RFC 9068 §4, draft-ietf-oauth-status-list-21). This room is packed as a package of its own (tools/pack-resource-server.ts), for Node, Deno,
 * Bun and edge runtimes: it imports jose alone, and knows nothing of the server.
 */
import { errors, type JWK, type JWTHeaderParameters, jwtVerify } from "jose";
import type { AccessTokenClaims } from "./access-token-claims.ts";
import { AccessTokenError } from "./access-token-error.ts";
import { challenge } from "./challenge.ts";
import { createDecryption } from "./decryption.ts";
import { createDocuments, type Fetch } from "./documents.ts";
import { createProofCheck, type DpopOptions } from "./dpop.ts";
import { amounts, onlyKnown } from "./given.ts";
import { hmacKey } from "./hmac.ts";
import { Issuer, type Key } from "./issuer.ts";
import { type Presented, presentedIn, type RequestLike } from "./presented.ts";
import { Refusal, Unavailable } from "./refusal.ts";
import { check, type PreparedRequirements, prepare, type Requirements } from "./requirements.ts";
import { StatusLists } from "./status-lists.ts";
import { type StatusPlace, type VerifiedToken, VerifiedTokens } from "./verified-tokens.ts";

export interface VerifierOptions {
  /** The issuer identifier, exactly as it stands in `iss`: https, except on this machine. */
  readonly issuer: string;
  /** This resource server's identifier, or several: `aud` must hold one of them. */
  readonly audience: string | readonly string[];
  /**
   * Whether the status list is asked if a token was ended. `required` (the default): a token without a status is refused; `if-present`: such
   * a token is good until it expires; `off`: every token is.
   */
  readonly status?: "required" | "if-present" | "off";
  /**
   * When no fresh status list can be had: `fail` (the default) refuses everything by 503; `use-last-until-exp` goes on with the last list, and
   * the last keys, until the `exp` that the issuer gave the list.
   */
  readonly onStatusOutage?: "fail" | "use-last-until-exp";
  /** Algorithms of access tokens; by default RS256, PS256, ES256 and EdDSA. Never `none`, never one with a shared secret. */
  readonly algorithms?: readonly string[];
  /** For a resource whose tokens are signed with HS256: its secret, as the server showed it. Then no other token is taken. */
  readonly secret?: string | Uint8Array;
  /** For a resource whose tokens are encrypted: its private key, or several while it changes. Tokens that are only signed are taken too. */
  readonly decryptionKey?: JWK | readonly JWK[];
  /** Seconds by which the clocks of issuer and resource server may differ; 5 by default. */
  readonly clockTolerance?: number;
  /** `realm` of challenges; the audience by default. */
  readonly realm?: string;
  /** Scheme and authority by which clients reach this API, such as `https://api.example.com`: what DPoP proofs are compared with. By default the request's own, which is wrong behind most proxies. */
  readonly origin?: string;
  readonly dpop?: DpopOptions;
  /** Milliseconds for one fetch; 5000 by default. */
  readonly timeout?: number;
  /** Status lists that are kept at once, the least recently used is dropped first; 64 by default. */
  readonly maxStatusLists?: number;
  /** Bytes of one status list in memory; 2 MiB by default. Grantor's have 128 KiB. */
  readonly maxStatusListBytes?: number;
  /**
   * Tokens whose signature is not verified again while the keys are the same; 1000 by default, 0 verifies each time. Their times, status and
   * binding, and what the request needs, are checked each time.
   */
  readonly maxVerifiedTokens?: number;
  /** By default the runtime's. */
  readonly fetch?: Fetch;
  /** Milliseconds since the epoch; by default the runtime's clock. */
  readonly now?: () => number;
}

export interface Verifier {
  /**
   * Verifies the access token of a request; or a bare one, which then cannot be bound to a key.
   * @returns its claims
   * @throws AccessTokenError when the request is not to be let through. @throws TypeError when the requirements make no sense
   */
  verify(input: string | RequestLike, requirements?: Requirements): Promise<AccessTokenClaims>;
}

const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"];
const PROOF_ALGORITHMS = ["ES256", "EdDSA", "Ed25519", "PS256", "RS256", "ES384", "ES512", "PS384", "PS512", "RS384", "RS512"];
const NOTHING: Requirements = {};
/** A record, so that the compiler misses none. */
const OPTIONS: Record<keyof VerifierOptions, true> = {
  issuer: true,
  audience: true,
  status: true,
  onStatusOutage: true,
  algorithms: true,
  secret: true,
  decryptionKey: true,
  clockTolerance: true,
  realm: true,
  origin: true,
  dpop: true,
  timeout: true,
  maxStatusLists: true,
  maxStatusListBytes: true,
  maxVerifiedTokens: true,
  fetch: true,
  now: true,
};

/** @throws TypeError when an option makes no sense, or is none */
export function createVerifier(options: VerifierOptions): Verifier {
  const { status = "required", onStatusOutage = "fail", clockTolerance = 5, timeout = 5000, now = Date.now, dpop = {} } = options;
  const { maxStatusLists = 64, maxStatusListBytes = 2 * 1024 * 1024, maxVerifiedTokens = 1000 } = options;
  onlyKnown("option", options, Object.keys(OPTIONS));
  onlyKnown("option of dpop", dpop, ["algorithms", "maxAge", "nonceSecret", "replays"]);
  amounts({ clockTolerance, timeout, maxStatusLists, maxStatusListBytes, maxVerifiedTokens, "dpop.maxAge": dpop.maxAge });
  oneOf("status", status, ["required", "if-present", "off"]);
  oneOf("onStatusOutage", onStatusOutage, ["fail", "use-last-until-exp"]);
  const audience = [options.audience].flat() as string[];
  if (audience.length === 0 || audience.some((one) => typeof one !== "string" || one === ""))
    throw new TypeError("audience: the identifier of this resource server");
  const secret = options.secret === undefined ? undefined : hmacKey("secret", options.secret, "verify");
  if (secret !== undefined && options.algorithms !== undefined) throw new TypeError("algorithms: with a secret it is HS256 alone");
  const algorithms = secret === undefined ? asymmetric("algorithms", options.algorithms ?? ALGORITHMS) : ["HS256"];
  const decrypted = createDecryption([options.decryptionKey ?? []].flat());
  const proofAlgorithms = asymmetric("dpop.algorithms", dpop.algorithms ?? PROOF_ALGORITHMS);
  const { realm = audience[0], origin } = options;
  if (origin !== undefined && !(URL.canParse(origin) && new URL(origin).origin === origin))
    throw new TypeError("origin: such as https://api.example.com");

  const fetch = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const documents = createDocuments(fetch, timeout);
  const issuer = new Issuer(options.issuer, documents, now);
  const useLast = onStatusOutage === "use-last-until-exp";
  const lists = new StatusLists({
    issuer,
    documents,
    now,
    algorithms: ALGORITHMS,
    clockTolerance,
    useLast,
    maxLists: maxStatusLists,
    maxListBytes: maxStatusListBytes,
  });
  const verified = new VerifiedTokens(maxVerifiedTokens);
  const checkProof = createProofCheck(dpop, { algorithms: proofAlgorithms, clockTolerance, now, origin });

  /** @throws Refusal or Unavailable */
  async function claimsOf(token: string): Promise<AccessTokenClaims> {
    const known = verifiedBefore(token);
    if (known === undefined) return claimsAtFirst(token);
    const listed = isListed(known.place);
    if (typeof listed !== "boolean") await listed;
    return JSON.parse(known.claims) as AccessTokenClaims;
  }

  /** With the key that counts now; and it is in its time. */
  function verifiedBefore(token: string): VerifiedToken | undefined {
    const known = verified.get(token);
    if (known === undefined || issuer.knownKey(known.header) !== known.key) return undefined;
    const seconds = Math.floor(now() / 1000);
    if (known.exp <= seconds - clockTolerance || (known.nbf !== undefined && known.nbf > seconds + clockTolerance)) return undefined;
    return known;
  }

  async function claimsAtFirst(token: string): Promise<AccessTokenClaims> {
    let lastKeys = false;
    const key = (header: JWTHeaderParameters) => {
      // Which kind of key it is says the resource, never the token (RFC 8725 §3.1).
      if (secret !== undefined) return secret;
      const found = issuer.key(header);
      if (!useLast || !(found instanceof Promise)) return found;
      return found.catch((error: unknown) => {
        if (!(error instanceof Unavailable)) throw error;
        lastKeys = true;
        return issuer.lastKey(header);
      });
    };
    const {
      payload,
      protectedHeader,
      key: usedKey,
    } = await jwtVerify<AccessTokenClaims>(await decrypted(token), key, {
      issuer: issuer.id,
      audience,
      algorithms,
      typ: "at+jwt", // RFC 9068 §4: an ID token is signed with the same keys
      requiredClaims: ["exp", "sub", "client_id"],
      clockTolerance,
      currentDate: new Date(now()),
    }).catch((cause: unknown) => {
      throw cause instanceof Unavailable ? cause : new Refusal("invalid_token", reason(cause), { cause });
    });
    const place = placeOf(payload);
    if (!lastKeys) {
      const { exp, nbf } = payload;
      verified.add(token, { header: protectedHeader, key: usedKey as Key, claims: JSON.stringify(payload), exp, nbf, place });
    }
    const listed = await isListed(place);
    // What vouches for keys in an outage is the list, which ends.
    if (lastKeys && !listed) throw new Unavailable("the issuer's keys cannot be had");
    return payload;
  }

  /** Where the status of a token is that has one, when statuses are asked for. */
  function placeOf(claims: AccessTokenClaims): StatusPlace | undefined {
    if (status === "off") return undefined;
    const reference = claims.status?.status_list as { idx?: unknown; uri?: unknown } | undefined;
    if (reference === undefined) {
      if (status === "required") throw new Refusal("invalid_token", "the access token has no status");
      return undefined;
    }
    const { idx, uri } = Object(reference) as { idx?: unknown; uri?: unknown };
    if (typeof uri !== "string" || typeof idx !== "number" || !Number.isSafeInteger(idx) || idx < 0)
      throw new Refusal("invalid_token", "the access token has a malformed status");
    return { uri, idx };
  }

  /** @returns whether there is a status, which then is good */
  function isListed(place: StatusPlace | undefined): boolean | Promise<boolean> {
    if (place === undefined) return false;
    const found = lists.status(place.uri, place.idx);
    return typeof found === "number" ? isValid(found) : found.then(isValid);
  }

  async function checkBinding({ scheme, token, request }: Presented, { cnf }: AccessTokenClaims, required: boolean): Promise<void> {
    if (cnf === undefined && scheme === "Bearer" && !required) return;
    if (cnf === undefined) throw new Refusal("invalid_token", "the access token is not bound to a key");
    const { jkt, ...others } = Object(cnf) as { jkt?: unknown };
    if (typeof jkt !== "string" || Object.keys(others).length > 0)
      throw new Refusal("invalid_token", "the access token is bound in a way that is not understood here");
    // RFC 9449 §7.2: never as a bearer token.
    if (scheme !== "DPoP" || request === undefined)
      throw new Refusal("invalid_token", "the access token is bound to a key and needs a dpop proof");
    await checkProof({ request, token, jkt });
  }

  /** The challenges, by RFC 6750 §3, RFC 9449 §7.1 and RFC 9470 §3. */
  function answer(
    error: Refusal | Unavailable,
    scheme: "Bearer" | "DPoP",
    { scope, dpop: required }: PreparedRequirements,
  ): AccessTokenError {
    if (error instanceof Unavailable) {
      const headers = { "Retry-After": String(error.retryAfter) };
      return new AccessTokenError("temporarily_unavailable", "access tokens cannot be checked right now", headers, { cause: error });
    }
    const { code, message, parameters, nonce, cause } = error;
    // RFC 6750 §3.1: whoever shows no token at all is not told of an error.
    const missing = code === "missing_token";
    const what = missing ? { scope: scope.join(" ") || undefined } : { error: code, error_description: message, ...parameters };
    const schemes = missing && !required && options.dpop !== undefined ? (["Bearer", "DPoP"] as const) : [scheme];
    const challenges = schemes.map((name) =>
      challenge(name, { realm, ...what, ...(name === "DPoP" && { algs: proofAlgorithms.join(" ") }) }),
    );
    const headers = { "WWW-Authenticate": challenges.join(", "), ...(nonce !== undefined && { "DPoP-Nonce": nonce }) };
    return new AccessTokenError(code, message, headers, { cause });
  }

  return {
    async verify(input, requirements = NOTHING) {
      const needs = prepare(requirements);
      let scheme: "Bearer" | "DPoP" = needs.dpop ? "DPoP" : "Bearer";
      try {
        const presented = presentedIn(input);
        if (presented === undefined) throw new Refusal("missing_token", "send an access token");
        if (presented.scheme === "DPoP") scheme = "DPoP";
        const claims = await claimsOf(presented.token);
        if (claims.cnf !== undefined) scheme = "DPoP";
        await checkBinding(presented, claims, needs.dpop);
        check(needs, claims, now() / 1000, clockTolerance);
        return claims;
      } catch (error) {
        throw error instanceof Refusal || error instanceof Unavailable ? answer(error, scheme, needs) : error;
      }
    },
  };
}

/** Draft §7.1: 0 is VALID; INVALID, SUSPENDED and what an application defines are not. */
function isValid(status: number): true {
  if (status !== 0) throw new Refusal("invalid_token", "the access token was revoked");
  return true;
}

function reason(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "the access token has expired";
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "aud") return "the access token is meant for another resource";
  return "the access token is not valid here";
}

function oneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new TypeError(`${name}: one of ${allowed.join(", ")}`);
}

/** RFC 8725 §3.1: a list of one's own, and nothing with which a public key could pass for a secret. */
function asymmetric(name: string, algorithms: readonly string[]): string[] {
  if (algorithms.length === 0 || algorithms.some((alg) => !/^(?:(?:RS|PS|ES)(?:256|384|512)|EdDSA|Ed25519)$/.test(alg)))
    throw new TypeError(`${name}: of RS256, PS256, ES256, EdDSA and the like: signatures with a public key alone`);
  return [...algorithms];
}
