/** Checks logout tokens: the authorization server says that somebody signed out. @see OpenID Connect Back-Channel Logout 1.0 §2.6 */
import { createRemoteJWKSet, jwtVerify } from "jose";

const EVENT = "http://schemas.openid.net/event/backchannel-logout";
/** Seconds. One that is older, or that lives longer, has been kept by somebody. */
const LARGEST_AGE = 300;

/** Whose sessions end: the one with `sid`, or without one all of `sub`. */
export interface Logout {
  sid: string | undefined;
  sub: string | undefined;
}

export interface LogoutTokenOptions {
  issuer: string;
  clientId: string;
  /** Of the issuer's metadata. */
  jwksUri(): Promise<URL>;
}

/** @returns a function that throws for whatever is not a fresh logout token for this client */
export function createLogoutTokenVerifier({ issuer, clientId, jwksUri }: LogoutTokenOptions): (token: string) => Promise<Logout> {
  let keys: ReturnType<typeof createRemoteJWKSet> | undefined;
  const seen = new Map<string, number>();

  return async (token) => {
    keys ??= createRemoteJWKSet(await jwksUri());
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: clientId,
      algorithms: ["RS256"],
      typ: "logout+jwt",
      requiredClaims: ["jti", "iat", "exp", "events"],
      maxTokenAge: LARGEST_AGE,
    });
    const { events, sid, sub, nonce, jti } = payload as Record<string, unknown>;
    if (typeof events !== "object" || events === null || !Object.hasOwn(events, EVENT)) throw new Error("it tells of another event");
    if (nonce !== undefined) throw new Error("it has a nonce, and so is an ID token");
    if (sid === undefined && sub === undefined) throw new Error("it names neither a session nor a person");
    refuseSeen(String(jti));
    return { sid: text(sid), sub: text(sub) };
  };

  /** A logout token is used once. */
  function refuseSeen(jti: string): void {
    const now = Date.now();
    for (const [known, until] of seen) if (until <= now) seen.delete(known);
    if (seen.has(jti)) throw new Error("it was used already");
    seen.set(jti, now + LARGEST_AGE * 1000);
  }
}

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
