import { type RecordStore, StoreUnavailableError } from "./record-store.ts";

type Operation = Exclude<keyof RecordStore, "close">;

/** Every one, or the store that is returned would lack it. */
const OPERATIONS: Readonly<Record<Operation, true>> = {
  read: true,
  readByPointer: true,
  areAlive: true,
  commit: true,
  readAnswer: true,
  tiedTo: true,
  createList: true,
  listVersion: true,
  readList: true,
  sweep: true,
  ping: true,
};

/** @param seconds that an operation took @param failed the store could not be reached */
export type OperationTook = (operation: string, seconds: number, failed: boolean) => void;

/** The same store, whose every operation is timed. */
export function timedRecords(store: RecordStore, took: OperationTook): RecordStore {
  const timed = (operation: Operation) => {
    const work = (store[operation] as (...args: unknown[]) => Promise<unknown>).bind(store);
    return async (...args: unknown[]): Promise<unknown> => {
      const startedAt = performance.now();
      let failed = false;
      try {
        return await work(...args);
      } catch (error) {
        failed = error instanceof StoreUnavailableError;
        throw error;
      } finally {
        took(operation, (performance.now() - startedAt) / 1000, failed);
      }
    };
  };
  const operations = Object.keys(OPERATIONS) as Operation[];
  return {
    ...Object.fromEntries(operations.map((operation) => [operation, timed(operation)])),
    close: () => store.close(),
  } as unknown as RecordStore;
}
