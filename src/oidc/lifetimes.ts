/**
 * How long what the engine issues may live. Beside every sliding limit, which moves with use, stands an absolute one, which does not; an
 * access token, which anybody verifies without asking, outlives neither its refresh family nor the session that it is bound to.
 * All durations and times are in seconds.
 */
import { errors, type KoaContextWithOIDC } from "oidc-provider";

/** Seconds since the epoch. */
export const epochTime = (): number => Math.floor(Date.now() / 1000);

export interface Lifetimes {
  /** Of an access token, where neither its client nor its resource says otherwise. */
  readonly accessToken: number;
  /** Of a refresh token: its family ends when none is used for so long. */
  readonly refreshToken: number;
  /** Of a refresh family, from its first token. */
  readonly refreshTokenMaxAge: number;
  /** Of a session that nobody uses. */
  readonly session: number;
  /** Of one that nobody uses and that ends with the browser: its person did not choose to be kept signed in. */
  readonly browserSession: number;
  /** Of a session, from the moment at which the person signed in. */
  readonly sessionMaxAge: number;
  /** Of a grant, beyond its last use. */
  readonly grant: number;
}

/** What an operator says of one client, on the engine's Client. Absent: the setting's. `…_max_ttl` is what it says of itself: never longer. */
export interface ClientLifetimes {
  readonly access_token_max_ttl?: number | undefined;
  readonly refresh_token_max_ttl?: number | undefined;
  readonly access_token_ttl?: number | undefined;
  readonly refresh_token_ttl?: number | undefined;
  readonly refresh_token_max_age?: number | undefined;
}

/** RFC 6749 §4.1.2 allows ten minutes; a redirect takes one. */
export const CODE_TTL = 60;
/** That a session in which nobody has signed in lives: what a form of ours needs, and no more, since anybody can ask for it. */
const ANONYMOUS_SESSION_TTL = 3_600;
/** Of its sliding life a session has at least this share left when a code is issued: it is not written again at every use. */
const SURELY_LEFT = 7 / 8;

export function sessionLife(
  { session, browserSession, sessionMaxAge }: Pick<Lifetimes, "session" | "browserSession" | "sessionMaxAge">,
  { accountId, loginTs, transient }: { accountId?: string | undefined; loginTs?: number | undefined; transient?: boolean | undefined },
  now: number,
): number {
  if (accountId === undefined) return Math.min(ANONYMOUS_SESSION_TTL, session);
  // The browser forgets its cookie when it closes, and nobody hears of that: what it left behind ends sooner.
  const idle = transient ? Math.min(browserSession, session) : session;
  return Math.max(1, Math.min(idle, (loginTs ?? now) + sessionMaxAge - now));
}

/**
 * @param startedAt when the first token of its family was issued
 * @throws `invalid_grant` when the family has been at its end before this token: an operator has lowered the limit meanwhile
 */
export function refreshTokenLife(lifetimes: Lifetimes, client: ClientLifetimes, startedAt: number, now: number): number {
  const idle = Math.min(client.refresh_token_ttl ?? lifetimes.refreshToken, client.refresh_token_max_ttl ?? Number.POSITIVE_INFINITY);
  const life = Math.min(idle, startedAt + familyLife(lifetimes, client) - now);
  if (life < 1) throw new errors.InvalidGrant("refresh token is expired");
  return life;
}

/**
 * Of an access token, the shortest of what its client, its resource, its refresh family and its session allow.
 * @param resourceTtl what its resource says
 * @param sessionExpiry when a session expires as it stands now; undefined: it has ended
 * @throws `invalid_grant` when the session has ended
 */
export async function accessTokenLife(
  lifetimes: Lifetimes,
  { oidc }: Pick<KoaContextWithOIDC, "oidc">,
  resourceTtl: number | undefined,
  sessionExpiry: (uid: string) => Promise<number | undefined>,
): Promise<number> {
  const client = oidc.client as (ClientLifetimes & { grantTypeAllowed(type: string): boolean }) | undefined;
  const own = Math.min(client?.access_token_ttl ?? Number.POSITIVE_INFINITY, resourceTtl ?? Number.POSITIVE_INFINITY);
  const life = Math.min(Number.isFinite(own) ? own : lifetimes.accessToken, client?.access_token_max_ttl ?? Number.POSITIVE_INFINITY);
  const { RefreshToken, AuthorizationCode, DeviceCode } = oidc.entities;
  const source = RefreshToken ?? AuthorizationCode ?? DeviceCode;
  if (source === undefined || client === undefined) return life;

  const now = epochTime();
  const familyStart = RefreshToken?.iiat ?? now;
  const hasFamily = RefreshToken !== undefined || client.grantTypeAllowed("refresh_token");
  const within = hasFamily ? Math.min(life, familyStart + familyLife(lifetimes, client) - now) : life;
  if (!source.expiresWithSession || source.sessionUid === undefined) return Math.max(1, within);

  // The session was there when the family began, and is asked only when that does not say that it will be there for long enough, of whichever
  // of the two kinds it is.
  const idle = Math.min(lifetimes.session, lifetimes.browserSession);
  const surelyUntil = Math.min(familyStart - CODE_TTL + idle * SURELY_LEFT, (source.authTime ?? 0) + lifetimes.sessionMaxAge);
  if (now + within <= surelyUntil) return Math.max(1, within);
  const left = ((await sessionExpiry(source.sessionUid)) ?? now) - now;
  if (left < 1) throw new errors.InvalidGrant("the session has ended");
  return Math.max(1, Math.min(within, left));
}

const familyLife = (lifetimes: Lifetimes, client: ClientLifetimes): number => client.refresh_token_max_age ?? lifetimes.refreshTokenMaxAge;
