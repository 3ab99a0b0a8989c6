/**
 * One unit of work per request. What the engine writes is gathered here and committed together, just before the answer is sent;
 * what it reads may come from copies that a record carries of the records it is always read with (a code of its grant, a session of its grants).
 * A copy is never trusted to be alive: whoever uses one adds a requirement to the commit.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { RecordKey, RecordStore, Write } from "./record-store.ts";

export type Payload = Record<string, unknown>;

const current = new AsyncLocalStorage<RequestScope>();

export class RequestScope {
  /** Records as this request last read or wrote them. */
  readonly seen = new Map<RecordKey, Payload>();
  /** Grants that a record carried along, until the commit has checked that they are alive. */
  readonly copies = new Map<RecordKey, Payload>();
  /** Access tokens that stand in for their JWT, in this request alone. */
  readonly handles = new Map<string, Payload>();
  /** A refresh token that was consumed within its grace: the same request may be repeated. */
  repeatable: { key: RecordKey; payload: Payload } | undefined;
  /** Set when `repeatable` was indeed used again, after every other check of the engine had passed. */
  repeats = false;
  /** What this request consumes when it commits. */
  consumed: { key: RecordKey; payload: Payload } | undefined;
  /** An access token that others could sign or that nobody here can read: only the string that is issued, known when the request is done, finds it. */
  foundAsIssued: RecordKey | undefined;
  /** The session that this request found by its cookie; `exp` in seconds, `form` what it said then, if it need not be written again, `lasting` its grants that survive sign-out. */
  sessionAsRead:
    | { key: RecordKey; body: string; uid: string; exp: number; form: string | undefined; lasting: readonly string[] }
    | undefined;
  /** The session of whoever is signed in when this request is done; `expiresAt` in seconds. */
  session: { readonly uid: string; readonly accountId: string; readonly expiresAt: number } | undefined;
  /** What somebody has shown who signs in with this request. */
  login: { readonly accountId: string; readonly shown?: object; readonly amr?: readonly string[] } | undefined;
  /** Whoever signs in with this request, in which browser, and the uid of the session that is known to be theirs there. */
  signsIn: { readonly browser: RecordKey; readonly accountId: string; readonly before: string | undefined } | undefined;
  /** The session goes on under the id that it has: it was given for the sign-in of another tab, since the one of this request began. */
  keepsSessionId = false;
  /** Copies may be used and checked at commit. Otherwise they are checked as they are read. */
  readonly defersChecks: boolean;
  #writes = new Map<string, Write>();

  constructor(options: { defersChecks: boolean }) {
    this.defersChecks = options.defersChecks;
  }

  add(write: Write): void {
    const id = `${write.op === "put" || write.op === "remove" ? "record" : write.op} ${write.key}`;
    this.#writes.delete(id); // the newest comes last
    this.#writes.set(id, write);
  }

  /** The write that is waiting for a record, if any. */
  pending(key: RecordKey): Write | undefined {
    return this.#writes.get(`record ${key}`);
  }

  /** Records that are waiting to be removed, found by their pointer. */
  removals(pointer: RecordKey): RecordKey[] {
    return [...this.#writes.values()].flatMap((change) => (change.op === "remove" && change.pointer === pointer ? [change.key] : []));
  }

  /** What waits to be put under a pointer. */
  puttingUnder(pointer: RecordKey): Payload | undefined {
    const put = [...this.#writes.values()].find((change) => change.op === "put" && change.pointer === pointer);
    return put && this.seen.get(put.key);
  }

  /** Whether there will be a record after this request that it has written. */
  get leavesRecord(): boolean {
    return [...this.#writes.values()].some(({ op }) => op === "put");
  }

  /** Hands over all writes and forgets them. */
  take(): Write[] {
    const writes = [...this.#writes.values()];
    this.#writes = new Map();
    return writes;
  }
}

export const currentScope = (): RequestScope | undefined => current.getStore();

export const runInScope = <T>(scope: RequestScope, work: () => Promise<T>): Promise<T> => current.run(scope, work);

/** Commits at once outside a request, and with the rest of the request inside one. */
export async function write(store: RecordStore, change: Write): Promise<void> {
  const scope = currentScope();
  if (scope !== undefined) scope.add(change);
  else await store.commit([change]);
}
