/**
 * DPoP (RFC 9449): tokens that only the holder of a key can use. The engine checks proofs; here is what it is told, and what it leaves open.
 * The policy, and why: docs/decisions/dpop-nonces.md.
 */
import { hash } from "node:crypto";
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader } from "jose";
import type { Context, Middleware } from "koa";
import { type KoaContextWithOIDC, Provider } from "oidc-provider";
import type { EngineDependencies } from "./ports.ts";

/** Asymmetric, as RFC 9449 §4.3 asks; `Ed25519` is the name that RFC 9864 gives to what was `EdDSA`. */
export const PROOF_ALGS = ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"] as const;

/** RFC 9449 §8: every proof carries a nonce of this server, so that none can be made ahead of time; the engine remembers proofs as long as nonces live. */
export const dpopFeature = ({ dpopNonceKey }: Pick<EngineDependencies, "dpopNonceKey">) => ({
  enabled: true,
  nonceSecret: dpopNonceKey,
  requireNonce: () => true,
});

/**
 * The JWK thumbprint (RFC 7638, SHA-256) of the key that a request has proved; undefined without a proof.
 * Only for requests whose proof the engine has accepted: nothing is verified here.
 */
export async function provedKey(ctx: Pick<Context, "get">): Promise<string | undefined> {
  const proof = ctx.get("DPoP");
  if (proof === "") return undefined;
  const { jwk } = decodeProtectedHeader(proof);
  return jwk && calculateJwkThumbprint(jwk);
}

/**
 * The engine's `rotateRefreshToken`: always. RFC 9449 §5: a refresh token that a public client gets with a proof MUST be bound to its key, also where
 * the one before was not; the engine only copies the binding of that one.
 */
export async function rotateRefreshToken(ctx: KoaContextWithOIDC): Promise<boolean> {
  const { client, entities } = ctx.oidc;
  const token = entities.RefreshToken;
  if (client?.clientAuthMethod === "none" && token !== undefined && token.jkt === undefined) {
    const key = await provedKey(ctx);
    if (key !== undefined) token.jkt = key;
  }
  return true;
}

/** Whether something that is used once is the proof of the request at hand, by the id under which the engine claims it. */
export function isOwnProof({ jti: id, iss }: { jti?: unknown; iss?: unknown }): boolean {
  const proof = Provider.ctx?.get("DPoP");
  return proof !== undefined && proof !== "" && hash("sha256", `${iss}${decodeJwt(proof).jti}`, "base64url") === id;
}

/** RFC 9449 §5.2: whoever has to prove a key and does not is told so, where the engine says `invalid_grant` alone. */
export const missingProofs: Middleware = async (ctx, next) => {
  await next();
  const { client, route } = (ctx as unknown as KoaContextWithOIDC).oidc ?? {};
  const body = ctx.body as { error?: string; error_description?: string } | undefined;
  if (route !== "token" || ctx.status !== 400 || body?.error !== "invalid_grant") return;
  if (client?.dpopBoundAccessTokens !== true || ctx.get("DPoP") !== "") return;
  body.error = "invalid_dpop_proof";
  body.error_description = "this client is registered for DPoP: send a proof in the DPoP header";
};
