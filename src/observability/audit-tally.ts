/** Bounds what strangers can write into the audit log: what is repeated becomes one record with a count. */

const WINDOW_MS = 60_000;
/** Kinds that are told apart in a window; what comes beyond them is counted without client and address. */
const MOST_KINDS = 500;

/** An AuditEvent. All its members count but for the request. */
interface Repeated {
  readonly event: string;
  readonly outcome: "success" | "failure";
  readonly requestId?: string | undefined;
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}

interface Kind {
  readonly event: Repeated;
  /** Since the first, which was recorded at once. */
  times: number;
}

export interface Tally {
  add(event: Repeated): void;
  /** Records what was counted so far. */
  close(): void;
}

export function createTally(record: (event: Repeated) => void): Tally {
  const kinds = new Map<string, Kind>();
  let timer: NodeJS.Timeout | undefined;

  function count(event: Repeated): void {
    const { requestId: _, ...same } = event;
    const key = JSON.stringify(same);
    const known = kinds.get(key);
    if (known !== undefined) known.times += 1;
    else if (kinds.size < MOST_KINDS || isCommon(event)) {
      kinds.set(key, { event: same, times: 0 });
      record(event);
    } else count({ event: event.event, outcome: event.outcome, detail: { more: true } });
  }

  function tell(): void {
    timer = undefined;
    for (const { event, times } of kinds.values()) if (times > 0) record({ ...event, detail: { ...event.detail, times } });
    kinds.clear();
  }

  return {
    add(event) {
      count(event);
      timer ??= setTimeout(tell, WINDOW_MS).unref();
    },
    close() {
      clearTimeout(timer);
      tell();
    },
  };
}

const isCommon = ({ detail }: Repeated): boolean => detail?.more === true;
