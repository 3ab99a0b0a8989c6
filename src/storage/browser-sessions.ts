/**
 * Which session a person has in a browser, for the time in which an answer with its cookie may still be on the way: of tabs that sign in at
 * once the first begins a session, and the others join it. What names the browser opens nothing: who joins has just proved who they are.
 */
import { decodeBody, keyOf } from "./record-body.ts";
import type { RecordStore, Write } from "./record-store.ts";
import { currentScope, type Payload, type RequestScope } from "./request-scope.ts";
import type { Sealer } from "./seal.ts";

/** Milliseconds; a tab that goes on later has long got the cookie. */
const LIFE = 600_000;

/** A session as it stands now; `id` is live. */
export interface LiveSession {
  readonly id: string;
  readonly accountId: string | undefined;
}

export class BrowserSessions {
  readonly #store: RecordStore;
  readonly #sealer: Sealer;

  constructor(store: RecordStore, sealer: Sealer) {
    this.#store = store;
    this.#sealer = sealer;
  }

  /**
   * Looks for the session of a person who has just signed in. Whichever session this request then goes on with or begins is theirs in this
   * browser from its commit on; of several that begin one at once, one commit succeeds.
   * @param marks random values that name the browser, the oldest first  @returns the live id of a session of theirs
   */
  async find(marks: readonly string[], accountId: string): Promise<string | undefined> {
    const keys = marks.map((mark) => keyOf("browser", `${mark} ${accountId}`));
    const found = await Promise.all(keys.map((key) => this.#store.read(key)));
    const scope = currentScope();
    const [key] = keys;
    if (scope !== undefined && key !== undefined) scope.signsIn = { browser: key, accountId, before: found[0]?.body };
    for (const record of found) {
      const session = record && (await this.#open(record.body));
      if (session?.accountId === accountId) return session.id;
    }
    return undefined;
  }

  async #open(uid: string): Promise<LiveSession | undefined> {
    const record = await this.#store.readByPointer(keyOf("session-uid", uid));
    if (record === undefined) return undefined;
    const { payload, locked } = decodeBody("session", record.key, record.body, undefined, this.#sealer);
    if (locked || (payload.exp as number) * 1000 <= Date.now()) return undefined;
    return { id: payload.jti as string, accountId: payload.accountId as string | undefined };
  }
}

/** What keeps in mind that a session is the one of its person in the browser. */
export function markSession(scope: RequestScope, { uid, accountId }: Payload, now: number): Write | undefined {
  const { signsIn } = scope;
  if (signsIn === undefined || signsIn.accountId !== accountId || signsIn.before === uid) return undefined;
  const { browser: key, before } = signsIn;
  const [body, expiresAt] = [uid as string, now + LIFE];
  if (before === undefined) return { op: "claim", key, body, expiresAt };
  return { op: "put", key, body, expiresAt, onlyIfThere: true, replaces: before };
}
