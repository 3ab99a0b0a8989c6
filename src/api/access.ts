/**
 * Who may ask what: this server's own access tokens for the resource `<issuer>/api/v1`, as bearer tokens (RFC 6750) or bound to a key (RFC 9449),
 * in the Authorization header alone: no cookie counts, so nothing here can be forged across sites.
 *
 * A token counts while its record lives, and no scope of it beyond what its client and its person may have now.
 */
import { challenge } from "../resource-server/challenge.ts";
import { createProofCheck, type ReplayStore } from "../resource-server/dpop.ts";
import { presentedIn, type RequestLike } from "../resource-server/presented.ts";
import { Refusal, Unavailable } from "../resource-server/refusal.ts";
import { Problem } from "./problems.ts";

/** Of proofs; those that the issuer's metadata names (oidc/dpop.ts). */
const PROOF_ALGS = ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"];
/** Seconds. */
const CLOCK_TOLERANCE = 5;

export interface AccessOptions {
  readonly issuer: string;
  /** `aud` of tokens. */
  readonly audience: string;
  /** The record of a complete access token that this server issued and that nothing has ended. */
  openAccessToken(token: string): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** Those of this API that a client may have now, with this person; undefined: one of them is gone, suspended or disabled. */
  scopesOf(clientId: string, accountId: string | undefined): Promise<readonly string[] | undefined>;
  readonly proofNonceKey: Buffer;
  readonly replays: ReplayStore;
  /** Milliseconds since the epoch. */
  now(): number;
}

export interface Granted {
  readonly clientId: string;
  /** Undefined: the client asks for itself. */
  readonly accountId: string | undefined;
  /** Every scope that the token holds and that still counts. */
  readonly scopes: readonly string[];
}

/** @throws {Problem} `unauthorized`, `insufficient-scope`, `malformed-request`, `unavailable` */
export type Authorize = (request: RequestLike, scope: string) => Promise<Granted>;

export function createAccess(options: AccessOptions): Authorize {
  const { issuer, audience, openAccessToken, scopesOf, proofNonceKey, replays, now } = options;
  const checkProof = createProofCheck(
    { nonceSecret: proofNonceKey, replays },
    { algorithms: PROOF_ALGS, clockTolerance: CLOCK_TOLERANCE, now, origin: issuer },
  );

  async function grantedTo(request: RequestLike, scope: string): Promise<Granted> {
    const presented = presentedIn(request);
    if (presented === undefined) throw new Refusal("missing_token", "Send an access token for this API.");
    const record = await openAccessToken(presented.token);
    if (record === undefined) throw new Refusal("invalid_token", "The access token is not valid, has expired or was revoked.");
    if (record.aud !== audience) throw new Refusal("invalid_token", "The access token is meant for another resource.");
    const { clientId, accountId, jkt, scope: held } = record as Record<string, string | undefined> & { clientId: string };
    if (record["x5t#S256"] !== undefined) throw new Refusal("invalid_token", "The access token is bound in a way that is not taken here.");
    if (jkt === undefined && presented.scheme === "DPoP") throw new Refusal("invalid_token", "The access token is not bound to a key.");
    if (jkt !== undefined) {
      // RFC 9449 §7.2: never as a bearer token.
      if (presented.scheme !== "DPoP") throw new Refusal("invalid_token", "The access token is bound to a key and needs a DPoP proof.");
      await checkProof({ request, token: presented.token, jkt });
    }
    const allowed = await scopesOf(clientId, accountId);
    if (allowed === undefined) throw new Refusal("invalid_token", "Whom the access token was given to may not use it any more.");
    const scopes = (held ?? "").split(" ");
    if (!scopes.includes(scope))
      throw new Refusal(
        "insufficient_scope",
        `The access token does not hold the scope ${scope}. Name it in scope when you ask for the token; an operator gives it to the application.`,
      );
    if (!allowed.includes(scope))
      throw new Refusal("insufficient_scope", `The application, or the person, may not use the scope ${scope} any more.`);
    return { clientId, accountId, scopes: scopes.filter((each) => allowed.includes(each)) };
  }

  return async (request, scope) => {
    try {
      return await grantedTo(request, scope);
    } catch (error) {
      if (error instanceof Unavailable) throw new Problem("unavailable", "Access tokens cannot be checked right now.", { cause: error });
      throw error instanceof Refusal ? problemOf(error, scope) : error;
    }
  };

  /** The challenges: RFC 6750 §3, RFC 9449 §7.1. Whoever shows no token at all is not told of an error. */
  function problemOf({ code, message, nonce, cause }: Refusal, scope: string): Problem {
    const missing = code === "missing_token";
    const what = missing ? { scope } : { error: code, error_description: message, ...(code === "insufficient_scope" && { scope }) };
    const bound = code === "invalid_dpop_proof" || code === "use_dpop_nonce";
    const challenges = [
      ...(bound ? [] : [challenge("Bearer", { realm: audience, ...what })]),
      ...(bound || missing ? [challenge("DPoP", { realm: audience, ...what, algs: PROOF_ALGS.join(" ") })] : []),
    ];
    const name = code === "insufficient_scope" ? "insufficient-scope" : code === "invalid_request" ? "malformed-request" : "unauthorized";
    const detail = message.charAt(0).toUpperCase() + message.slice(1) + (message.endsWith(".") ? "" : ".");
    const headers = { "WWW-Authenticate": challenges.join(", "), ...(nonce !== undefined && { "DPoP-Nonce": nonce }) };
    return new Problem(name, detail, { headers, ...(cause !== undefined && { cause }) });
  }
}
