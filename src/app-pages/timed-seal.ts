/** What travels through a browser and back, sealed, and counts for a while: secrets that were just made, and what a form is about. */

export interface Timed {
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export interface TimedSeal {
  /** @param context what it is, and whose: the same words are needed to open it */
  seal<T extends Timed>(content: T, context: string): string;
  /** @returns undefined for what is not one of ours, or another person's, or over */
  open<T extends Timed>(sealed: string, context: string): T | undefined;
}

export interface Sealing {
  seal(plaintext: string, context: string): string;
  open(sealed: string, context: string): string;
}

/** @param now milliseconds since the epoch */
export const createTimedSeal = ({ seal, open }: Sealing, now: () => number = Date.now): TimedSeal => ({
  seal: (content, context) => seal(JSON.stringify(content), context),
  open<T extends Timed>(sealed: string, context: string): T | undefined {
    try {
      const content = JSON.parse(open(sealed, context)) as T;
      return content.until > now() ? content : undefined;
    } catch {
      return undefined;
    }
  },
});
