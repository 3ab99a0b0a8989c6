/**
 * The application's own sessions. An id in a cookie is all that the browser holds; tokens stay here. In memory, which is enough for an
 * example: with more than one process they belong into a store that all of them share.
 */
import { randomBytes } from "node:crypto";

/** Milliseconds that a session lives, however much it is used. */
const LIFE = 8 * 3_600_000;
/** Milliseconds that a browser without a sign-in is remembered: as long as one may take. */
const VISIT = 3_600_000;
/** Sign-ins that a browser may have begun at once, in several tabs. */
const MOST_PENDING = 10;

/** What a sign-in must come back to, kept from the redirect to the callback under its `state`. */
export interface PendingSignIn {
  readonly nonce: string;
  readonly codeVerifier: string;
}

export interface SignedIn {
  /** Of the ID token: who it is, and which session of theirs at the authorization server. */
  readonly sub: string;
  readonly sid: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly userinfo: Readonly<Record<string, unknown>>;
  /** As it was received: tells the authorization server later whom to sign out. */
  idToken: string;
  refreshToken: string | undefined;
  /** For the resource server alone. `expiresAt` in milliseconds since the epoch. */
  apiToken?: { value: string; scope: string; expiresAt: number };
  /** Under way: a refresh token is used once, by one request at a time. */
  refreshing?: Promise<void> | undefined;
  refreshes: number;
  /** What the API answered last, for the page. */
  answer?: ApiAnswer;
}

export interface ApiAnswer {
  readonly request: string;
  readonly status: string;
  /** What the API says is missing (RFC 6750 §3). */
  readonly challenge: string | undefined;
  readonly body: string;
}

export interface Session {
  readonly id: string;
  readonly expiresAt: number;
  readonly pending: Map<string, PendingSignIn>;
  signedIn?: SignedIn;
  /** Said once, on the next page. */
  notice?: string;
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();

  find(id: string | undefined): Session | undefined {
    const session = this.#sessions.get(id ?? "");
    if (session !== undefined && session.expiresAt > Date.now()) return session;
    if (session !== undefined) this.#sessions.delete(session.id);
    return undefined;
  }

  /** A session under a new id: signing in never goes on with one that the browser had before (session fixation). */
  create(signedIn?: SignedIn): Session {
    this.#sweep();
    const life = signedIn === undefined ? VISIT : LIFE;
    const session: Session = {
      id: randomBytes(32).toString("base64url"),
      expiresAt: Date.now() + life,
      pending: new Map(),
      ...(signedIn && { signedIn }),
    };
    this.#sessions.set(session.id, session);
    return session;
  }

  end(session: Session): void {
    this.#sessions.delete(session.id);
  }

  /** Ends the session that began with a sign-in session of the authorization server, or without one all of a person's. @returns how many */
  endBy({ sid, sub }: { sid: string | undefined; sub: string | undefined }): number {
    const ended = [...this.#sessions.values()].filter(
      ({ signedIn }) => signedIn !== undefined && (sid === undefined ? signedIn.sub === sub : signedIn.sid === sid),
    );
    for (const session of ended) this.end(session);
    return ended.length;
  }

  #sweep(): void {
    for (const session of this.#sessions.values()) if (session.expiresAt <= Date.now()) this.end(session);
  }
}

/** Remembers a sign-in that begins; the oldest of too many is forgotten. */
export function remember(session: Session, state: string, pending: PendingSignIn): void {
  const [oldest] = session.pending.keys();
  if (oldest !== undefined && session.pending.size >= MOST_PENDING) session.pending.delete(oldest);
  session.pending.set(state, pending);
}
