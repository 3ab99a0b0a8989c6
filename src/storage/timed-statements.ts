import type pg from "pg";

/** @param seconds from when the statement was sent until its answer was read */
export type StatementTook = (seconds: number, failed: boolean) => void;

/** Times every statement of a connection, whether it is awaited (Prisma, our transactions) or called back (the pool). */
export function timeStatements(client: pg.ClientBase, took: StatementTook): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  client.query = ((...args: unknown[]): unknown => {
    const startedAt = performance.now();
    const done = (failed: boolean) => took((performance.now() - startedAt) / 1000, failed);
    const callback = args.at(-1);
    if (typeof callback === "function") {
      args[args.length - 1] = (error: unknown, ...results: unknown[]) => {
        done(Boolean(error));
        callback(error, ...results);
      };
      return query(...args);
    }
    const answer = query(...args);
    if (answer instanceof Promise)
      answer.then(
        () => done(false),
        () => done(true),
      );
    return answer;
  }) as typeof client.query;
}
