/**
 * Requests that may be repeated (draft-ietf-httpapi-idempotency-key-header-07): whoever is first with a key carries the request out, and whoever comes
 * again hears the same answer, for a day. Answers are sealed: they may hold a secret that was just made.
 *
 * A process that dies on the way leaves a claim, which times out; whether its work was done is not known then, and the next one does it (again). So that
 * nothing is made twice, what a request makes can have an id that is the same whenever it is carried out.
 */
import { hash } from "node:crypto";
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";

/** Seconds for which an answer is kept. */
const ANSWER_LIFE = 86_400;
/** Seconds after which one who has a claim is taken for dead: longer than any request takes. */
const CLAIM_LIFE = 120;

/** Characters of base64url. */
const ID_LENGTH = 22;

/** Milliseconds. */
const SWEEP_INTERVAL = 600_000;

export interface RememberedAnswer {
  readonly status: number;
  /** JSON: headers and body. */
  readonly answer: string;
}

export type Claim =
  /** Carry it out, and call one of the two. `id`: 128 bits, of this request however often it is carried out within a day, and of no other. */
  | { state: "mine"; id: string; finish(answer: RememberedAnswer): Promise<void>; abandon(): Promise<void> }
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
    // One that came to no answer is known for as long as its answer would have been.
    const over = [{ status: { not: null } }, { createdAt: { lte: new Date(now() - ANSWER_LIFE * 1000) } }];
    prisma.idempotentRequest.deleteMany({ where: { expiresAt: { lte: new Date(now()) }, OR: over } }).catch(() => {
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
      // The same request that came to no answer before goes on being the one that it was.
      const [taken] = await prisma.$queryRaw<{ created_at: Date }[]>`
        INSERT INTO idempotent_request AS known (key, fingerprint, created_at, expires_at)
        VALUES (${key}, ${fingerprint}, ${new Date(now())}, ${until})
        ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, status = NULL, answer = NULL, expires_at = excluded.expires_at,
          created_at = CASE WHEN known.status IS NULL AND known.fingerprint = excluded.fingerprint
            AND known.created_at > ${new Date(now() - ANSWER_LIFE * 1000)} THEN known.created_at ELSE excluded.created_at END
        WHERE known.expires_at <= ${new Date(now())}
        RETURNING created_at`;
      // The end of the claim tells it from one that was made after it had timed out.
      const mine = { key, status: null, expiresAt: until };
      if (taken !== undefined)
        return {
          state: "mine",
          id: idOf(key, fingerprint, taken.created_at),
          async finish({ status, answer }) {
            const data = { status, answer: sealer.seal(answer, context), expiresAt: new Date(now() + ANSWER_LIFE * 1000) };
            await prisma.idempotentRequest.updateMany({ where: mine, data });
          },
          async abandon() {
            await prisma.idempotentRequest.updateMany({ where: mine, data: { expiresAt: new Date(now()) } });
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

/** Never begins with a dash, which a command line would take for an option. */
const idOf = (key: string, fingerprint: string, since: Date): string =>
  hash("sha256", `${key} ${fingerprint} ${since.getTime()}`, "base64url").slice(0, ID_LENGTH).replace(/^-/, "0");
