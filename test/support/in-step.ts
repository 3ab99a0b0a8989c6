/** A test and its server hear of each other's changes a moment after they were made: here they wait for that moment. */
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import type { ChangeFeed } from "../../src/storage/change-feed.ts";

/** The change feed's. */
export const CHANNEL = "grantor_change";
export const QUESTION = "how far";
export const ANSWER = "this far";

/** Arguments of Node for a server that answers. */
export const ANSWERING = ["--import", fileURLToPath(new URL("answering-feed.ts", import.meta.url))];

/** Milliseconds after which is asked again: nothing is kept for whoever is not connected, in a crash of the database or of the server. */
const AGAIN = 1_000;

/**
 * Every change that is published here is heard by the server before whoever publishes goes on.
 * @param processes of the server: each hears for itself
 * @returns resolves once either has heard what the other told so far
 */
export function keepInStep(feed: ChangeFeed, processes: number): () => Promise<void> {
  const publish = feed.publish.bind(feed);
  const inStep = async (): Promise<void> => {
    const question = randomBytes(8).toString("hex");
    const { promise, resolve } = Promise.withResolvers<void>();
    const answered = new Set<string | undefined>();
    const unsubscribe = feed.subscribe(ANSWER, (answer = "") => {
      const [to, from] = answer.split(" ");
      if (to === question && answered.add(from).size === processes) resolve();
    });
    const asking = setInterval(() => publish(QUESTION, question).catch(() => {}), AGAIN);
    try {
      await publish(QUESTION, question);
      await promise;
    } finally {
      clearInterval(asking);
      unsubscribe();
    }
  };
  feed.publish = async (topic, id) => {
    await publish(topic, id);
    await inStep();
  };
  return inStep;
}
