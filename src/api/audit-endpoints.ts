import { z } from "zod";
import type { PastEvent } from "../observability/audit-trail.ts";
import type { AuditOperations, SignedBatch } from "../operations/audit-operations.ts";
import { type Endpoint, listing, operation } from "./endpoint.ts";
import { notFound } from "./problems.ts";
import { timeSchema } from "./schemas.ts";

const OUTCOME = z.enum(["success", "failure"]);
const EVENT_ID = z.string().meta({ description: "The event's number in the log.", example: "1234" });

const eventSchema = z
  .object({
    event_id: EVENT_ID,
    at: timeSchema,
    event: z.string().meta({ example: "client.created" }),
    outcome: OUTCOME,
    actor: z.string().optional().describe("Who did it: an account, an application, or `operator` for the command line."),
    account_id: z.string().optional().describe("Whose account it is about."),
    client_id: z.string().optional().describe("Which application it is about, or through which it was done."),
    address: z.string().optional().describe("From where."),
    request_id: z.string().optional().describe("Of the request, as in the server's log."),
    detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    batch: z.number().int().optional().describe("The batch of the chain in which it is sealed; absent: not sealed yet."),
    erased_at: timeSchema.optional().describe("Its address and detail were erased."),
  })
  .meta({ id: "AuditEvent", description: "Who did what to whom, when, from where, with what outcome." });

const checkpointSchema = z
  .object({
    number: z.number().int().describe("Of the newest batch that it covers, and with it of all before."),
    sealed_at: timeSchema,
    hash: z.string().describe("Of that batch, base64url."),
    checkpoint: z.string().describe("A JWS, signed with a key of the JWKS. Keep it elsewhere: it proves what the log was."),
  })
  .meta({ id: "AuditCheckpoint" });

const lineSchema = z
  .looseObject({ type: z.enum(["event", "batch"]) })
  .meta({ id: "AuditLine", description: "An event with what its seal was made from, or the batch that seals the events before it." });

export function auditEndpoints(audit: AuditOperations): Endpoint[] {
  return [
    listing({
      path: "/audit/events",
      operationId: "listAuditEvents",
      tag: "audit",
      summary: "Search the audit log, newest first",
      scope: "grantor:audit:read",
      query: {
        event: z.string().max(100).optional().describe("Only of kinds that begin so, such as `client.` or `sign_in`."),
        outcome: OUTCOME.optional(),
        actor: z.string().max(255).optional(),
        account_id: z.string().max(255).optional(),
        client_id: z.string().max(255).optional(),
        address: z.string().max(100).optional(),
        since: timeSchema.optional(),
        until: timeSchema.optional().describe("Later ones are left out."),
      },
      item: eventSchema,
      async handle({ query, limit, after }) {
        const { event: prefix, account_id: accountId, client_id: clientId, since, until, ...same } = query;
        const filter = { ...same, prefix, accountId, clientId, since: dateOf(since), until: dateOf(until) };
        const { events, next } = await audit.search(filter, { limit, cursor: after as string | undefined });
        return { items: events.map(eventView), next };
      },
    }),
    operation({
      method: "GET",
      path: "/audit/events/{event_id}",
      operationId: "getAuditEvent",
      tag: "audit",
      summary: "Get an event of the audit log",
      scope: "grantor:audit:read",
      params: { event_id: EVENT_ID },
      response: eventSchema,
      async handle({ params: { event_id } }) {
        const event = await audit.find(event_id);
        if (event === undefined) throw notFound("event");
        return eventView(event);
      },
    }),
    operation({
      method: "GET",
      path: "/audit/export",
      operationId: "exportAuditLog",
      tag: "audit",
      summary: "Export the audit log",
      description:
        "Whole batches of the chain, each event with what its seal was made from, then the batch itself; at last what is not sealed yet. `grantor audit verify --export` checks such a file.",
      scope: "grantor:audit:read",
      query: {
        since: timeSchema.optional().describe("Batches that are older are left out."),
        until: timeSchema.optional().describe("Batches that are newer are left out."),
      },
      response: lineSchema,
      lines: "application/jsonl",
      handle: async ({ query: { since, until } }, { by }) => audit.export(by, { since: dateOf(since), until: dateOf(until) }),
    }),
    listing({
      path: "/audit/checkpoints",
      operationId: "listAuditCheckpoints",
      tag: "audit",
      summary: "List the signed checkpoints, newest first",
      scope: "grantor:audit:read",
      item: checkpointSchema,
      async handle({ limit, after }) {
        const found = await audit.checkpoints(limit + 1, after as number | undefined);
        const items = found.slice(0, limit);
        return { items: items.map(checkpointView), next: found.length > limit ? items.at(-1)?.number : undefined };
      },
    }),
    operation({
      method: "POST",
      path: "/audit/checkpoints",
      operationId: "signAuditLog",
      tag: "audit",
      summary: "Seal what was recorded so far, and sign it",
      scope: "grantor:audit:write",
      response: checkpointSchema,
      async handle(_, { by }) {
        const signed = await audit.checkpoint(by);
        if (signed === undefined) throw notFound("event: nothing was recorded yet");
        return checkpointView(signed);
      },
    }),
    operation({
      method: "POST",
      path: "/audit/erasures",
      operationId: "eraseFromAuditLog",
      tag: "audit",
      summary: "Erase what is personal in the events of an account",
      description:
        "Addresses and details go, of what the account did and of what was done to it; what was done, when and by whom stays, and the chain can still be checked. The account may be deleted already.",
      scope: "grantor:audit:write",
      body: z.strictObject({ account_id: z.string().min(1).max(255) }),
      response: z.object({ events: z.number().int().describe("Events that held something.") }),
      async handle({ body: { account_id } }, { by }) {
        const events = await audit.erase(by, account_id);
        if (events === undefined) throw notFound("account in the audit log");
        return { events };
      },
    }),
  ];
}

const dateOf = (time: string | undefined): Date | undefined => (time === undefined ? undefined : new Date(time));

function eventView({ id, at, event, outcome, detail, batch, ...known }: PastEvent): z.input<typeof eventSchema> {
  const { actor, accountId, clientId, address, requestId, erasedAt } = known;
  return {
    ...{ event_id: id, at: at.toISOString(), event, outcome, detail },
    ...(actor !== undefined && { actor }),
    ...(accountId !== undefined && { account_id: accountId }),
    ...(clientId !== undefined && { client_id: clientId }),
    ...(address !== undefined && { address }),
    ...(requestId !== undefined && { request_id: requestId }),
    ...(batch !== undefined && { batch }),
    ...(erasedAt !== undefined && { erased_at: erasedAt.toISOString() }),
  };
}

const checkpointView = ({ number, sealedAt, hash, checkpoint }: SignedBatch): z.input<typeof checkpointSchema> => ({
  ...{ number, sealed_at: sealedAt.toISOString(), hash: hash.toString("base64url"), checkpoint },
});
