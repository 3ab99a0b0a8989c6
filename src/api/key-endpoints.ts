import { z } from "zod";
import { SIGNING_ALGS } from "../keys/algorithms.ts";
import type { RotationResult } from "../keys/key-rotation.ts";
import type { KeyOperations, SigningKeyView } from "../operations/key-operations.ts";
import { type Endpoint, listing, operation, pageOf } from "./endpoint.ts";
import { notFound, Problem } from "./problems.ts";
import { timeSchema } from "./schemas.ts";

const KID = z.string().meta({ description: "The key's id, as it stands in `kid` of tokens.", example: "kXq3…" });
const STATES = ["next", "current", "retired", "expired", "revoked"] as const;

const keySchema = z
  .object({
    kid: KID,
    alg: z.enum(SIGNING_ALGS),
    state: z
      .enum(STATES)
      .describe("`next` is published and does not sign yet, `current` signs, `retired` is published until what it signed has expired."),
    created_at: timeSchema.describe("Published since then."),
    activated_at: timeSchema.optional().describe("Signs, or signed, since then."),
    replace_at: timeSchema.optional().describe("Its replacement was asked for, from then on."),
    retired_at: timeSchema.optional(),
    published_until: timeSchema.optional(),
    revoked_at: timeSchema.optional(),
    next_state: z.enum(STATES).optional().describe("What becomes of it by itself."),
    next_state_at: timeSchema.optional(),
  })
  .meta({ id: "SigningKey", description: "A key that signs tokens. Its public half is in the JWKS; its private half is never shown." });

const replacementSchema = z
  .object({
    alg: z.enum(SIGNING_ALGS),
    outcome: z.enum(["replaced", "revoked", "scheduled"]),
    kid: KID.describe("What signs from now on, or, when it is scheduled, will."),
    previous_kid: z.string(),
    at: timeSchema.optional().describe("When it is scheduled: from then on."),
    known_everywhere_at: timeSchema.optional().describe("Every cached JWKS holds the new key by then."),
  })
  .meta({ id: "KeyReplacement" });

export function keyEndpoints(keys: KeyOperations): Endpoint[] {
  return [
    listing({
      path: "/keys",
      operationId: "listKeys",
      tag: "keys",
      summary: "List the signing keys",
      scope: "grantor:keys:read",
      item: keySchema,
      handle: async (input) => pageOf([...(await keys.list())].sort(byKid), input, ({ kid }) => kid, keyView),
    }),
    operation({
      method: "GET",
      path: "/keys/{kid}",
      operationId: "getKey",
      tag: "keys",
      summary: "Get a signing key",
      scope: "grantor:keys:read",
      params: { kid: KID },
      response: keySchema,
      async handle({ params: { kid } }) {
        const key = (await keys.list()).find((each) => each.kid === kid);
        if (key === undefined) throw notFound("key");
        return keyView(key);
      },
    }),
    operation({
      method: "POST",
      path: "/keys/rotate",
      operationId: "rotateKeys",
      tag: "keys",
      summary: "Let the next keys sign",
      description:
        "At once where the successor has been published for long enough, else by itself as soon as it has. With `revoke` the keys are compromised: they are replaced at once, and nothing that they signed counts any more.",
      scope: "grantor:keys:write",
      body: z.strictObject({
        alg: z.enum(SIGNING_ALGS).optional().describe("Only the key of this algorithm; without it, and without `kid`, those of all."),
        kid: KID.optional().describe("Only this key; with `revoke` also one that does not sign."),
        revoke: z.boolean().default(false),
      }),
      response: z.object({ keys: z.array(replacementSchema) }),
      async handle({ body: { alg, kid, revoke } }, { by }) {
        if (alg !== undefined && kid !== undefined)
          throw new Problem("invalid-input", "Name an algorithm or a key, not both.", {
            errors: [{ field: "/kid", message: "must not stand beside alg" }],
          });
        if (kid !== undefined && !(await keys.list()).some((each) => each.kid === kid)) throw notFound("key");
        const order = { now: revoke, ...(alg !== undefined && { alg }), ...(kid !== undefined && { kid }) };
        return { keys: (await keys.rotate(by, order)).map(replacementView) };
      },
    }),
  ];
}

const byKid = (a: SigningKeyView, b: SigningKeyView): number => (a.kid < b.kid ? -1 : 1);

function keyView(key: SigningKeyView): z.input<typeof keySchema> {
  const { kid, alg, state, createdAt, activatedAt, replaceAt, retiredAt, publishedUntil, revokedAt, then } = key;
  return {
    kid,
    alg: alg as (typeof SIGNING_ALGS)[number],
    state,
    created_at: createdAt.toISOString(),
    ...(activatedAt !== undefined && { activated_at: activatedAt.toISOString() }),
    ...(replaceAt !== undefined && { replace_at: replaceAt.toISOString() }),
    ...(retiredAt !== undefined && { retired_at: retiredAt.toISOString() }),
    ...(publishedUntil !== undefined && { published_until: publishedUntil.toISOString() }),
    ...(revokedAt !== undefined && { revoked_at: revokedAt.toISOString() }),
    ...(then !== undefined && { next_state: then.state, next_state_at: then.at.toISOString() }),
  };
}

function replacementView(result: RotationResult): z.input<typeof replacementSchema> {
  const { alg, outcome, kid, previousKid } = result;
  const at =
    result.outcome === "scheduled" ? { at: result.at.toISOString() } : { known_everywhere_at: result.everywhereFrom.toISOString() };
  return { alg: alg as (typeof SIGNING_ALGS)[number], outcome, kid, previous_kid: previousKid, ...at };
}
