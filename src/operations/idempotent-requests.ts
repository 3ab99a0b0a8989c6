/**
 * Requests that may be repeated (draft-ietf-httpapi-idempotency-key-header-07): whoever is first with a key carries the request out, and whoever comes
 * again hears the same answer, for a day. Answers are sealed: they may hold a secret that was just made.
 *
 * A process that dies on the way leaves a claim, which times out; whether its work was done is not known then, and the next one does it (again).
 */
import { hash } from "node:crypto";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";

/** Seconds for which an answer is kept. */
const ANSWER_LIFE = 86_400;
/** Seconds after which one who has a claim is taken for dead: longer than any request takes. */
const CLAIM_LIFE = 120;

/** Milliseconds. */
const SWEEP_INTERVAL = 600_000;

export interface RememberedAnswer {
  readonly status: number;
  /** JSON: headers and body. */
  readonly answer: string;
}

export type Claim =
  /** Carry it out, and call one of the two. */
  | { state: "mine"; finish(answer: RememberedAnswer): Promise<void>; abandon(): Promise<void> }
  | ({ state: "answered" } & RememberedAnswer)
  | { state: "running" }
  /** The key was used for another request, and is of no use any more. */
  | { state: "other" };

export interface IdempotentRequests {
  /**
   * Of any number of parallel calls one is told "mine".
   * @param asker who chose the key  @param request everything that makes it the same one
   */
  claim(asker: string, key: string, request: string): Promise<Claim>;
}

/** @param now milliseconds since the epoch */
export function createIdempotentRequests(prisma: PrismaClient, sealer: Sealer, now: () => number = Date.now): IdempotentRequests {
  let sweptAt = 0;

  /** What has expired goes, when somebody comes and it is time again. */
  function sweep(): void {
    if (now() < sweptAt + SWEEP_INTERVAL) return;
    sweptAt = now();
    prisma.idempotentRequest.deleteMany({ where: { expiresAt: { lte: new Date(now()) } } }).catch(() => {
      sweptAt = 0; // the next one tries again
    });
  }

  return {
    async claim(asker, chosen, request) {
      sweep();
      const key = hash("sha256", JSON.stringify([asker, chosen]), "base64url");
      const fingerprint = hash("sha256", request, "base64url");
      const until = new Date(now() + CLAIM_LIFE * 1000);
      const context = `idempotent-request:${key}`;
      const taken = await prisma.$executeRaw`
        INSERT INTO idempotent_request (key, fingerprint, created_at, expires_at) VALUES (${key}, ${fingerprint}, ${new Date(now())}, ${until})
        ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, status = NULL, answer = NULL,
          created_at = excluded.created_at, expires_at = excluded.expires_at
        WHERE idempotent_request.expires_at <= ${new Date(now())}`;
      // The end of the claim tells it from one that was made after it had timed out.
      const mine = { key, status: null, expiresAt: until };
      if (taken > 0)
        return {
          state: "mine",
          async finish({ status, answer }) {
            const data = { status, answer: sealer.seal(answer, context), expiresAt: new Date(now() + ANSWER_LIFE * 1000) };
            await prisma.idempotentRequest.updateMany({ where: mine, data });
          },
          async abandon() {
            await prisma.idempotentRequest.deleteMany({ where: mine });
          },
        };
      const found = await prisma.idempotentRequest.findUnique({ where: { key } });
      if (found === null) return { state: "running" }; // it was given up at this very moment
      if (found.fingerprint !== fingerprint) return { state: "other" };
      if (found.status === null || found.answer === null) return { state: "running" };
      if (!sealer.isKnown(found.answer)) return { state: "other" }; // SECRET_KEY holds no more what sealed it: the answer cannot be given again
      return { state: "answered", status: found.status, answer: sealer.open(found.answer, context) };
    },
  };
}
