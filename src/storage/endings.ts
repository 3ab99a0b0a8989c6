/** Ending what a person or an application holds: one grant, one session, everything of an account or a client. All of it outside the engine. */
import { authorizationsOf, clientsOf, lastingGrants } from "./engine-payload.ts";
import { grantKeyOf, isGrantKey, readGrant } from "./live-grants.ts";
import { decodeBody, keyOf } from "./record-body.ts";
import type { RecordKey, RecordKind, RecordStore, Tied, Write } from "./record-store.ts";
import type { Sealer } from "./seal.ts";

/** Records that one commit ends at most: an application may hold as many tokens as it likes, and must not be safe by their number. */
const BATCH = 1_000;

export interface EndingsOptions {
  store: RecordStore;
  sealer: Sealer;
  /** Seconds after which nothing of an ended grant or session could still be alive. */
  longestLife: number;
}

/** What a session was when it ended. */
export interface EndedSession {
  readonly accountId: string | undefined;
  /** The applications that its person was signed in to in it; `sid` as their ID tokens say. */
  readonly clients: readonly { readonly clientId: string; readonly sid: string | undefined }[];
}

export class Endings {
  readonly #options: EndingsOptions;
  readonly #listeners: ((uid: string) => Promise<unknown>)[] = [];

  constructor(options: EndingsOptions) {
    this.#options = options;
  }

  /** @param listener told of every session that is ended here, before that is acknowledged; it must not throw */
  onSessionEnd(listener: (uid: string) => Promise<unknown>): void {
    this.#listeners.push(listener);
  }

  /** Ends a grant and every code and token issued under it. */
  async endGrant(grantId: string): Promise<void> {
    await this.#remove([{ key: keyOf("grant", grantId) }]);
  }

  /** The same, by what names it outside (live-grants.ts). */
  async endLiveGrant(id: string): Promise<void> {
    await this.#remove([{ key: grantKeyOf(id) }]);
  }

  /**
   * Ends a session and the grants that live with it; those that survive sign-out (offline access, device) stay.
   * @returns what it was; undefined: there was none
   */
  async endSession(uid: string): Promise<EndedSession | undefined> {
    for (;;) {
      const record = await this.#options.store.readByPointer(keyOf("session-uid", uid));
      if (record === undefined) return undefined;
      const ended = await this.#endSessionRecord(record.key, record.body);
      if (ended !== undefined) return ended; // else it has changed since it was read
    }
  }

  /** Ends every session, grant and token of a person. */
  async endAccount(accountId: string): Promise<void> {
    await this.#endTied({ accountId });
  }

  /** Ends every session, grant and token of a person but one session and what applications got in it, offline access included. */
  async endAllBut(uid: string, accountId: string): Promise<void> {
    const kept = await this.#options.store.readByPointer(keyOf("session-uid", uid));
    const { payload } = kept === undefined ? {} : decodeBody("session", kept.key, kept.body, undefined, this.#options.sealer);
    const grants = payload === undefined ? [] : authorizationsOf(payload).flatMap(({ grantId }) => grantId ?? []);
    await this.#endTied({ accountId }, new Set([kept?.key, ...grants.map((id) => keyOf("grant", id))]));
  }

  /** Ends every grant and token of an application. */
  async endClient(clientId: string): Promise<void> {
    await this.#endTied({ clientId });
  }

  /** Ends the grants that a person has given to one application. Looked for among the person's, who has fewer. */
  async endConsent(accountId: string, clientId: string): Promise<void> {
    const { store, sealer } = this.#options;
    const grants = (await store.tiedTo({ accountId })).filter(({ key }) => isGrantKey(key));
    const read = await Promise.all(grants.map(({ key }) => readGrant(store, sealer, key)));
    await this.#remove(grants.filter((_, index) => read[index]?.clientId === clientId));
  }

  /**
   * What ends with a session although its grant goes on: the codes and tokens that the application got there without offline access.
   * @param grantIds of the session, of applications that have offline access
   */
  async boundTo(uid: string, grantIds: readonly string[]): Promise<Tied[]> {
    const { store, sealer } = this.#options;
    const members = (await Promise.all(grantIds.map((id) => store.tiedTo({ grant: keyOf("grant", id) })))).flat();
    const ends = await Promise.all(
      members.map(async ({ key }) => {
        const record = await store.read(key);
        const kind = key.slice(0, key.indexOf(":")) as RecordKind;
        const payload = record && decodeBody(kind, key, record.body, undefined, sealer).payload;
        return payload?.expiresWithSession === true && payload.sessionUid === uid;
      }),
    );
    return members.filter((_, index) => ends[index]);
  }

  /** Ends what is bound to a session: also what came of a code or token that was being used while it was ended. */
  async endBoundTo(uid: string, grantIds: readonly string[]): Promise<void> {
    if (grantIds.length === 0) return;
    for (let bound = await this.boundTo(uid, grantIds); bound.length > 0; bound = await this.boundTo(uid, grantIds))
      await this.#remove(bound);
  }

  /** The end of records, for a commit. */
  removals(ended: readonly Tied[]): Write[] {
    const until = Date.now() + this.#options.longestLife * 1000;
    return ended.map((each): Write => ({ op: "remove", ...each, until }));
  }

  async #endTied(owner: { accountId: string } | { clientId: string }, but: ReadonlySet<RecordKey | undefined> = new Set()): Promise<void> {
    const tied = async () => (await this.#options.store.tiedTo(owner)).filter(({ key }) => !but.has(key));
    // Until there is none: one may have gone on under another id meanwhile.
    while (await this.#endSessions(await tied()));
    await this.#remove((await tied()).filter(({ key }) => !key.startsWith("session:")));
  }

  /** @returns whether there was any */
  async #endSessions(tied: readonly Tied[]): Promise<boolean> {
    let found = false;
    for (const { key } of tied.filter((candidate) => candidate.key.startsWith("session:"))) {
      const record = await this.#options.store.read(key);
      if (record === undefined) continue;
      found = true;
      await this.#endSessionRecord(key, record.body);
    }
    return found;
  }

  /** @returns undefined: it is not as it was read, and has to be ended as it is now */
  async #endSessionRecord(key: RecordKey, body: string): Promise<EndedSession | undefined> {
    const { payload } = decodeBody("session", key, body, undefined, this.#options.sealer);
    const grants = authorizationsOf(payload).flatMap(({ grantId, persistsLogout }) =>
      grantId && !persistsLogout ? [{ key: keyOf("grant", grantId) }] : [],
    );
    const [uid, lasting] = [payload.uid as string, lastingGrants(payload)];
    const session = { as: body, pointer: keyOf("session-uid", uid) };
    const lost = await this.#remove([...grants, ...(await this.boundTo(uid, lasting)), { key }], session);
    await this.endBoundTo(uid, lasting);
    if (lost) return undefined;
    await Promise.all(this.#listeners.map((listener) => listener(uid)));
    return { accountId: payload.accountId as string | undefined, clients: clientsOf(payload) };
  }

  /** @param session what its removal asks for, if there is one among them  @returns whether that was not met */
  async #remove(ended: readonly Tied[], session?: { as: string; pointer: RecordKey }): Promise<boolean> {
    const asked = (write: Write): Write => (session && write.key.startsWith("session:") ? ({ ...write, ...session } as Write) : write);
    let lost = false;
    for (let at = 0; at < ended.length; at += BATCH)
      lost = (await this.#options.store.commit(this.removals(ended.slice(at, at + BATCH)).map(asked))) !== undefined || lost;
    return lost;
  }
}

/**
 * Takes the copies of grants out of a session's record, when one of them turned out to be of a grant that is gone.
 * @param sessionKey a `session:…` key
 */
export async function forgetCopies(store: RecordStore, sealer: Sealer, sessionKey: RecordKey): Promise<void> {
  const record = await store.read(sessionKey);
  if (record === undefined) return;
  const { payload } = decodeBody("session", sessionKey, record.body, undefined, sealer);
  const { g: _, ...body } = JSON.parse(record.body);
  const accountId = payload.accountId as string | undefined;
  await store.commit([
    {
      op: "put",
      key: sessionKey,
      body: JSON.stringify(body),
      onlyIfThere: true,
      replaces: record.body,
      expiresAt: (payload.exp as number) * 1000,
      pointer: keyOf("session-uid", payload.uid as string),
      ...(accountId && { ties: { accountId } }),
    },
  ]);
}
