/** The sessions that somebody has, as the engine's records say: the truth about what lives. */
import { clientsOf } from "./engine-payload.ts";
import { decodeBody } from "./record-body.ts";
import type { RecordStore } from "./record-store.ts";
import type { Sealer } from "./seal.ts";

export interface LiveSession {
  /** Names it on our side; opens nothing. */
  readonly uid: string;
  /** Seconds since the epoch. */
  readonly signedInAt: number;
  /** How surely its person has shown who they are (OpenID Connect Core §2). */
  readonly acr: string | undefined;
  /** Seconds since the epoch, unless it is used before. */
  readonly expiresAt: number;
  /** Its person is kept signed in when the browser closes. */
  readonly kept: boolean;
  /** The ids of the applications that were opened through it. */
  readonly clients: readonly string[];
}

/** @param now milliseconds since the epoch */
export function liveSessions(store: RecordStore, sealer: Sealer, now: () => number = Date.now) {
  return async (accountId: string): Promise<LiveSession[]> => {
    const keys = (await store.tiedTo({ accountId })).map(({ key }) => key).filter((key) => key.startsWith("session:"));
    const records = await Promise.all(keys.map(async (key) => ({ key, record: await store.read(key) })));
    return records.flatMap(({ key, record }) => {
      if (record === undefined) return [];
      const { payload } = decodeBody("session", key, record.body, undefined, sealer);
      if (payload.accountId !== accountId || (payload.exp as number) * 1000 <= now()) return [];
      return [
        {
          uid: payload.uid as string,
          signedInAt: (payload.loginTs as number | undefined) ?? 0,
          acr: payload.acr as string | undefined,
          expiresAt: payload.exp as number,
          kept: payload.transient !== true,
          clients: clientsOf(payload).map(({ clientId }) => clientId),
        },
      ];
    });
  };
}
