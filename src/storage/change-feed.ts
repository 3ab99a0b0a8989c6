import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Logger } from "pino";
import { describeLoss } from "./database-error.ts";

const CHANNEL = "grantor_change";
const FIRST_RETRY = 100; // ms
const LONGEST_RETRY = 5000; // ms
const HEARTBEAT = 15_000; // ms: finds a connection that died without a word
const ANSWER_TIMEOUT = 5000; // ms

/** PostgreSQL takes payloads below 8000 bytes. */
const LONGEST_PAYLOAD = 7900;

/**
 * Word between processes of what changed, so that each can drop what it has cached. It carries names, never content, and may be heard
 * more than once. Nothing is kept for those who are away: after a gap, subscribers are told that anything may have changed.
 */
export interface ChangeFeed {
  /**
   * Tells every process, this one at once. Call it after the change is committed.
   * @throws the driver's error when the database cannot be reached: other processes may then go on with the old state until they notice
   */
  publish(topic: string, id: string): Promise<void>;
  /** @param onChange gets the id, or `undefined` when anything may have changed @returns ends the subscription */
  subscribe(topic: string, onChange: (id: string | undefined) => void): () => void;
  close(): Promise<void>;
}

interface Change {
  topic: string;
  id: string;
  /** The feed that published it: it has told its own subscribers already. */
  from: string;
}

function parseChange(payload: string | undefined): Change | undefined {
  try {
    const { topic, id, from } = JSON.parse(payload ?? "") as Record<string, unknown>;
    return typeof topic === "string" && typeof id === "string" && typeof from === "string" ? { topic, id, from } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Opens a feed on a connection of its own, which comes back by itself when it is lost.
 * @param database `pool` sends, `url` is listened at
 * @throws the driver's error when the first connection fails
 */
export async function openChangeFeed(database: { pool: pg.Pool; url: string }, log: Logger): Promise<ChangeFeed> {
  const self = randomUUID();
  const subscribers = new Map<string, Set<(id: string | undefined) => void>>();
  let client: pg.Client | undefined;
  let retry = FIRST_RETRY;
  let timer: NodeJS.Timeout | undefined;
  let connecting: Promise<void> | undefined;
  let closed = false;

  const deliver = (topic: string, id: string | undefined): void => {
    for (const onChange of subscribers.get(topic) ?? []) {
      try {
        onChange(id);
      } catch (error) {
        log.error({ err: error, topic }, "a subscriber of the change feed failed");
      }
    }
  };

  const connect = async (): Promise<void> => {
    const next = new pg.Client({
      connectionString: database.url,
      application_name: "grantor change feed",
      connectionTimeoutMillis: ANSWER_TIMEOUT,
      query_timeout: ANSWER_TIMEOUT,
      keepAlive: true,
    });
    next.on("error", (error) => log.warn(describeLoss(error), "the change feed lost its connection"));
    next.on("notification", ({ payload }) => {
      const change = parseChange(payload);
      if (change !== undefined && change.from !== self) deliver(change.topic, change.id);
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      next.end().catch(() => {});
      throw error;
    }
    if (closed) {
      await next.end();
      return;
    }
    client = next;
    retry = FIRST_RETRY;
    next.once("end", () => lose(next));
    timer = setTimeout(beat, HEARTBEAT, next).unref();
  };

  const beat = async (current: pg.Client): Promise<void> => {
    try {
      await current.query("SELECT 1");
      if (current === client && !closed) timer = setTimeout(beat, HEARTBEAT, current).unref();
    } catch {
      lose(current);
    }
  };

  const lose = (lost: pg.Client): void => {
    if (lost !== client || closed) return;
    client = undefined;
    clearTimeout(timer);
    lost.end().catch(() => {});
    reconnectLater();
  };

  const reconnectLater = (): void => {
    timer = setTimeout(() => {
      connecting = reconnect();
    }, retry).unref();
    retry = Math.min(retry * 2, LONGEST_RETRY);
  };

  const reconnect = async (): Promise<void> => {
    try {
      await connect();
    } catch (error) {
      log.debug(describeLoss(error), "the change feed cannot connect yet");
      if (!closed) reconnectLater();
      return;
    }
    if (closed) return;
    log.info("the change feed listens again");
    for (const topic of subscribers.keys()) deliver(topic, undefined);
  };

  await connect();

  return {
    async publish(topic, id) {
      const payload = JSON.stringify({ topic, id, from: self } satisfies Change);
      if (Buffer.byteLength(payload) > LONGEST_PAYLOAD) throw new RangeError(`A change of ${topic} has an id of ${id.length} characters`);
      deliver(topic, id);
      await database.pool.query("SELECT pg_notify($1, $2)", [CHANNEL, payload]);
    },
    subscribe(topic, onChange) {
      // One entry per call, so that ending one subscription leaves another of the same function alone.
      const subscriber = (id: string | undefined): void => onChange(id);
      const of = subscribers.get(topic) ?? new Set();
      subscribers.set(topic, of.add(subscriber));
      return () => {
        of.delete(subscriber);
      };
    },
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      await connecting;
      await client?.end().catch(() => {});
    },
  };
}
