/**
 * What ties an answer of a provider to the browser and the request that it belongs to. The browser keeps one secret in a cookie; everything
 * that is sent along is derived from it, one-way. So nothing needs to be stored but its hash, and neither the provider, nor whoever sees the
 * address of the callback, can make the browser's half.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

export interface Proofs {
  /** RFC 6749 §10.12. */
  readonly state: string;
  /** OIDC Core §3.1.2.1. */
  readonly nonce: string;
  /** RFC 7636 §4.1: 256 bits. */
  readonly verifier: string;
}

export function proofsOf(secret: string): Proofs {
  const derive = (what: string) => createHmac("sha256", secret).update(what).digest("base64url");
  return { state: derive("state"), nonce: derive("nonce"), verifier: derive("code_verifier") };
}

export function isStateOf(state: string, secret: string): boolean {
  const [given, own] = [Buffer.from(state), Buffer.from(proofsOf(secret).state)];
  return given.length === own.length && timingSafeEqual(given, own);
}
