/** Keys and proofs of RFC 9449, made by hand, so that a test can make wrong ones; and requests that carry them. */
import { createHash, randomUUID } from "node:crypto";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";

export interface ProofOptions {
  nonce?: string | undefined;
  /** The access token that the proof goes with. */
  accessToken?: string;
  claims?: Record<string, unknown>;
  header?: Record<string, unknown>;
}

export interface ProofKey {
  readonly jwk: JWK;
  /** RFC 7638 thumbprint. */
  readonly jkt: string;
  prove(method: string, url: string, options?: ProofOptions): Promise<string>;
}

export async function proofKey(alg = "ES256"): Promise<ProofKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  return {
    jwk,
    jkt: await calculateJwkThumbprint(jwk),
    prove: (htm, htu, { nonce, accessToken, claims = {}, header = {} } = {}) => {
      const ath = accessToken === undefined ? {} : { ath: createHash("sha256").update(accessToken).digest("base64url") };
      const iat = Math.floor(Date.now() / 1000);
      return new SignJWT({ jti: randomUUID(), htm, htu, iat, ...(nonce && { nonce }), ...ath, ...claims })
        .setProtectedHeader({ alg, typ: "dpop+jwt", jwk, ...header })
        .sign(privateKey);
    },
  };
}

/** Asks with a proof, and once more with the nonce that the server wants. @returns the answer, and the nonce that it was given with */
export async function withNonce(
  ask: (nonce: string | undefined) => Promise<Response>,
  known?: string,
): Promise<{ response: Response; nonce: string | undefined }> {
  const first = await ask(known);
  const nonce = first.headers.get("DPoP-Nonce") ?? known;
  if (!(await first.clone().text()).includes("use_dpop_nonce")) return { response: first, nonce };
  const second = await ask(nonce);
  return { response: second, nonce: second.headers.get("DPoP-Nonce") ?? nonce };
}
