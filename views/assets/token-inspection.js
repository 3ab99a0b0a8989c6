/**
 * Takes a token apart: what is in it, which key signed it, whether it verifies and whether it was revoked. The command line and the page
 * /apps/inspector run this same file, so that they find the same: JavaScript, on what Node and browsers share. It sends nothing anywhere:
 * keys and the states of tokens are handed to it.
 */
import { claimMeaning, headerMeaning, isTime, own, TIME_CLAIMS, text } from "./token-words.js";

/**
 * @typedef {import("../../src/i18n/messages.ts").Text} Text
 *
 * @typedef {"valid" | "invalid" | "unknown_key" | "revoked_key" | "expired_key" | "wrong_algorithm" | "unsigned" | "shared_secret" | "not_supported" | "no_keys" | "encrypted"} SignatureFinding
 * `invalid`: it is not what the key signed; `unknown_key`: the header names a key that is none of ours; `wrong_algorithm`: the key is ours,
 * but not for the algorithm in the header (RFC 8725 §3.1); `unsigned`: `none`; `shared_secret`: HMAC, which no public key can check;
 * `not_supported`: not by this browser; `no_keys`: ours cannot be had; `encrypted`: the signature is inside (JWE).
 *
 * @typedef {object} InspectedKey one of ours
 * @property {string} kid
 * @property {string} alg
 * @property {string} state next, current, retired, expired or revoked
 * @property {object | undefined} [jwk] the public half; a key that is not published needs none
 *
 * @typedef {object} StatusReference where a token says that its status is published
 * @property {number} idx
 * @property {string} uri
 *
 * @typedef {object} StatusFinding
 * @property {"valid" | "revoked" | "unknown" | "none"} state `none`: the token does not say where; `unknown`: `reason` says why
 * @property {Text} [reason] a clause, without a full stop
 * @property {Date} [asOf] when the list was made
 * @property {Date} [since] when it was revoked
 *
 * @typedef {object} ExplainedValue
 * @property {string} name
 * @property {unknown} value
 * @property {Text | undefined} meaning undefined for what no specification names
 * @property {Date} [time] for claims that are times
 *
 * @typedef {object} TokenInspection
 * @property {Text} kind
 * @property {Readonly<Record<string, unknown>>} header
 * @property {Readonly<Record<string, unknown>> | undefined} claims undefined: encrypted
 * @property {readonly ExplainedValue[]} explainedHeader
 * @property {readonly ExplainedValue[]} explained
 * @property {SignatureFinding} signature
 * @property {Pick<InspectedKey, "kid" | "alg" | "state"> | undefined} key the one of ours that the header names
 * @property {boolean} expired
 * @property {boolean} notYetValid
 * @property {boolean} ours the issuer is this server; of a status list, whose address is here
 * @property {boolean} verifies signed by one of our unrevoked keys, of this issuer and in its time; whether it was revoked is another question
 * @property {StatusReference | undefined} reference
 * @property {StatusFinding} status
 *
 * @typedef {object} Sources
 * @property {readonly InspectedKey[] | undefined} keys ours, revoked ones too; undefined: they cannot be had
 * @property {string} issuer
 * @property {number} now milliseconds since the epoch
 * @property {(reference: StatusReference) => Promise<StatusFinding>} statusOf asked for tokens that we signed alone, and for lists of ours
 * @property {(audience: string) => Promise<Uint8Array | undefined>} [secretOf] of a resource whose tokens are signed with one, where it may be known
 */

/** It is no token that can be read: `words` is a sentence. */
export class UnreadableTokenError extends Error {
  /** @override */
  name = "UnreadableTokenError";

  /** @param {Text} words */
  constructor(words) {
    super(words.key);
    this.words = words;
  }
}

/** Characters. Longer than any token that fits into a request's header. */
const LONGEST = 65_536;

/**
 * @param {string} given with or without `Bearer`
 * @param {Sources} sources
 * @returns {Promise<TokenInspection>}
 * @throws {UnreadableTokenError}
 */
export async function inspectToken(given, { keys, issuer, now, statusOf, secretOf }) {
  const parts = partsOf(given);
  const [head = "", body = "", tail = ""] = parts;
  const header = decode(head, "header");
  const encrypted = parts.length === 5;
  const claims = encrypted ? undefined : decode(body, "claims");
  const named = keys?.find(({ kid }) => kid === header.kid);
  const signature = await findSignature();
  const expired = typeof claims?.exp === "number" && claims.exp * 1000 <= now;
  const notYetValid = typeof claims?.nbf === "number" && claims.nbf * 1000 > now;
  const ours = claims?.iss === issuer || isListOf(issuer, header, claims);
  const reference = referenceIn(claims);
  return {
    kind: kindOf(header, claims),
    header,
    claims,
    explainedHeader: Object.entries(header).map(([name, value]) => ({ name, value, meaning: headerMeaning(name) })),
    explained: Object.entries(claims ?? {}).map(([name, value]) => ({
      name,
      value,
      meaning: claimMeaning(name, claims ?? {}, issuer),
      ...(TIME_CLAIMS.has(name) && isTime(value) && { time: new Date(value * 1000) }),
    })),
    signature,
    key: named && { kid: named.kid, alg: named.alg, state: named.state },
    expired,
    notYetValid,
    ours,
    verifies: signature === "valid" && ours && !expired && !notYetValid,
    reference,
    status: await findStatus(),
  };

  /** @returns {Promise<SignatureFinding>} */
  async function findSignature() {
    if (encrypted) return "encrypted";
    // RFC 8725 §3.1: a secret is that of the resource that the token is for, and nothing that the header names.
    const secret = header.alg === "HS256" && typeof claims?.aud === "string" ? await secretOf?.(claims.aud) : undefined;
    if (secret !== undefined) return (await verify(HMAC, "raw", secret, `${head}.${body}`, tail)) ?? "not_supported";
    return keys === undefined ? "no_keys" : checkSignature(header, named, `${head}.${body}`, tail);
  }

  /** @returns {Promise<StatusFinding>} */
  async function findStatus() {
    if (encrypted) return { state: "unknown", reason: text("tokens:reasons.encrypted") };
    if (claims?.status === undefined) return { state: "none" };
    if (reference === undefined) return { state: "unknown", reason: text("tokens:reasons.malformed") };
    // Whatever a stranger wrote into a token is not followed anywhere: neither to another server, nor to another path of this one.
    const path = reference.uri.startsWith(`${issuer}/`) ? reference.uri.slice(issuer.length) : "";
    if (!/^\/oauth\/status-lists\/[\w-]+$/.test(path)) return { state: "unknown", reason: text("tokens:reasons.elsewhere") };
    if (signature !== "valid" || !ours) return { state: "unknown", reason: text("tokens:reasons.not_ours") };
    return statusOf(reference);
  }
}

/**
 * Reads one status out of a status list token (draft-ietf-oauth-status-list §8.3).
 * @param {string} jwt
 * @param {StatusReference} reference
 * @param {{ keys: readonly InspectedKey[], now: number }} sources
 * @returns {Promise<StatusFinding>}
 */
export async function readStatus(jwt, { idx, uri }, { keys, now }) {
  const [head = "", body = "", tail = ""] = jwt.split(".");
  const header = decode(head, "header");
  const { sub, iat, exp, status_list: list } = decode(body, "claims");
  const key = keys.find(({ kid }) => kid === header.kid);
  if (header.typ !== "statuslist+jwt" || sub !== uri) return { state: "unknown", reason: text("tokens:reasons.no_list") };
  if ((await checkSignature(header, key, `${head}.${body}`, tail)) !== "valid")
    return { state: "unknown", reason: text("tokens:reasons.list_signature") };
  if (typeof exp === "number" && exp * 1000 <= now) return { state: "unknown", reason: text("tokens:reasons.list_old") };
  const { bits, lst } = /** @type {{ bits?: unknown, lst?: unknown }} */ (list ?? {});
  const width = Number(bits);
  const bytes = await inflate(fromBase64url(String(lst)));
  const byte = bytes[Math.floor((idx * width) / 8)];
  if (byte === undefined || ![1, 2, 4, 8].includes(width)) return { state: "unknown", reason: text("tokens:reasons.no_entry") };
  const value = (byte >> ((idx * width) % 8)) & ((1 << width) - 1);
  return { state: value === 0 ? "valid" : "revoked", ...(isTime(iat) && { asOf: new Date(iat * 1000) }) };
}

// --- what it is

/** @param {string} given */
function partsOf(given) {
  const token = given.trim().replace(/^Bearer\s+/i, "");
  if (token === "") throw new UnreadableTokenError(text("tokens:unreadable.nothing"));
  if (token.length > LONGEST) throw new UnreadableTokenError(text("tokens:unreadable.too_long", { longest: String(LONGEST) }));
  const parts = token.split(".");
  if (parts.length === 3 || parts.length === 5) return parts;
  throw new UnreadableTokenError(text("tokens:unreadable.parts"));
}

/**
 * @param {string} part
 * @param {"header" | "claims"} what
 * @returns {Record<string, unknown>}
 */
function decode(part, what) {
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(part)));
    if (typeof value === "object" && value !== null && !Array.isArray(value) && !isDeep(value, DEEPEST)) return value;
  } catch {
    // answered below
  }
  throw new UnreadableTokenError(text(`tokens:unreadable.${what}`));
}

/** Far deeper than anything that a token says, and than whoever shows it can go. */
const DEEPEST = 64;

/** @param {unknown} value @param {number} left @returns {boolean} */
const isDeep = (value, left) =>
  typeof value === "object" && value !== null && (left === 0 || Object.values(value).some((member) => isDeep(member, left - 1)));

/**
 * @param {Record<string, unknown> | undefined} claims
 * @returns {StatusReference | undefined}
 */
function referenceIn(claims) {
  const { idx, uri } = /** @type {{ status_list?: { idx?: unknown, uri?: unknown } } | undefined} */ (claims?.status)?.status_list ?? {};
  return typeof uri === "string" && Number.isSafeInteger(idx) && Number(idx) >= 0 ? { idx: Number(idx), uri } : undefined;
}

/** RFC 7515 §4.1.9: `typ`, in lower case and without `application/`: `tokens:kinds.<name>`. @type {Readonly<Record<string, string>>} */
const KINDS = {
  "at+jwt": "access",
  "logout+jwt": "logout",
  "dpop+jwt": "dpop",
  "statuslist+jwt": "status_list",
  "token-introspection+jwt": "introspection",
  "oauth-authz-req+jwt": "request",
  "secevent+jwt": "security_event",
};

/**
 * @param {Record<string, unknown>} header
 * @param {Record<string, unknown> | undefined} claims
 * @returns {Text}
 */
function kindOf({ typ, cty }, claims) {
  /** @param {unknown} type */
  const known = (type) => (typeof type === "string" ? own(KINDS, type.toLowerCase().replace(/^application\//, "")) : undefined);
  /** @param {string} kind */
  const named = (kind) => text(`tokens:kinds.${kind}`);
  if (claims === undefined) return text("tokens:kinds.encrypted", { kind: named(known(typ) ?? known(cty) ?? "token") });
  const looksLikeIdToken = ["iss", "sub", "aud", "exp", "iat"].every((name) => name in claims) && !("scope" in claims);
  return named(known(typ) ?? (looksLikeIdToken ? "id" : "jwt"));
}

/**
 * A status list token has no `iss`: its `sub` is the address that it is fetched from (draft-ietf-oauth-status-list §5.1).
 * @param {string} issuer
 * @param {Record<string, unknown>} header
 * @param {Record<string, unknown> | undefined} claims
 */
const isListOf = (issuer, { typ }, claims) =>
  typ === "statuslist+jwt" &&
  claims !== undefined &&
  !("iss" in claims) &&
  typeof claims.sub === "string" &&
  claims.sub.startsWith(`${issuer}/`);

// --- signatures

/** RFC 7518 §3, RFC 8037 §3.1. @type {Readonly<Record<string, { name: string, hash?: string, namedCurve?: string, saltLength?: number }>>} */
const ALGORITHMS = {
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  ES256: { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
};
const HMAC = { name: "HMAC", hash: "SHA-256" };

/**
 * @param {Record<string, unknown>} header
 * @param {InspectedKey | undefined} key
 * @param {string} signed
 * @param {string} tail
 * @returns {Promise<SignatureFinding>}
 */
async function checkSignature(header, key, signed, tail) {
  if (header.alg === "none" || tail === "") return "unsigned";
  if (key === undefined) return typeof header.alg === "string" && /^HS\d/.test(header.alg) ? "shared_secret" : "unknown_key";
  if (header.alg !== key.alg) return "wrong_algorithm";
  if (key.state === "revoked") return "revoked_key";
  if (key.state === "expired") return "expired_key";
  const algorithm = own(ALGORITHMS, key.alg);
  if (algorithm === undefined || key.jwk === undefined) return "unknown_key";
  const { kty, n, e, crv, x, y } = /** @type {Record<string, string>} */ (key.jwk);
  const bare = Object.fromEntries(Object.entries({ kty, n, e, crv, x, y }).filter(([, value]) => value !== undefined));
  return (await verify(algorithm, "jwk", bare, signed, tail)) ?? "not_supported";
}

/**
 * @param {{ name: string, hash?: string }} algorithm
 * @param {"jwk" | "raw"} format
 * @param {any} key
 * @param {string} signed
 * @param {string} tail
 * @returns {Promise<"valid" | "invalid" | undefined>} undefined: this browser cannot; Ed25519 is missing in older ones
 */
async function verify(algorithm, format, key, signed, tail) {
  let signature;
  try {
    signature = fromBase64url(tail);
  } catch {
    return "invalid";
  }
  let imported;
  try {
    imported = await crypto.subtle.importKey(/** @type {any} */ (format), key, algorithm, false, ["verify"]);
  } catch {
    return undefined;
  }
  return (await crypto.subtle.verify(algorithm, imported, signature, new TextEncoder().encode(signed))) ? "valid" : "invalid";
}

/**
 * RFC 7515 §2; one spelling for each value.
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {TypeError}
 */
function fromBase64url(text) {
  if (!/^[\w-]+$/.test(text)) throw new TypeError("not base64url");
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  if (btoa(binary).replace(/[=]+$/, "").replace(/\+/g, "-").replace(/\//g, "_") !== text) throw new TypeError("not canonical");
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** zlib (RFC 1950). @param {Uint8Array<ArrayBuffer>} compressed */
async function inflate(compressed) {
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
