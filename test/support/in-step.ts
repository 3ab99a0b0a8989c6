/** A test and its server hear of each other's changes a moment after they were made: here they wait for that moment. */
import { randomBytes } from "node:crypto";
import type { ChangeFeed } from "../../src/storage/change-feed.ts";

/** The change feed's. */
export const CHANNEL = "grantor_change";
export const QUESTION = "how far";
export const ANSWER = "this far";

/**
 * Every change that is published here is heard by the server, which has `answering-feed.ts`, before whoever publishes goes on.
 * @returns resolves once either has heard what the other told so far
 */
export function keepInStep(feed: ChangeFeed): () => Promise<void> {
  const publish = feed.publish.bind(feed);
  const inStep = async (): Promise<void> => {
    const question = randomBytes(8).toString("hex");
    const { promise, resolve } = Promise.withResolvers<void>();
    const unsubscribe = feed.subscribe(ANSWER, (answered) => {
      if (answered === question) resolve();
    });
    try {
      await publish(QUESTION, question);
      await promise;
    } finally {
      unsubscribe();
    }
  };
  feed.publish = async (topic, id) => {
    await publish(topic, id);
    await inStep();
  };
  return inStep;
}
