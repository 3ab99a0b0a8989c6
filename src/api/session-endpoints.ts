/** Where people are signed in. */
import { z } from "zod";
import type { AccountSession } from "../accounts/account-sessions.ts";
import type { SessionOperations } from "../operations/session-operations.ts";
import { accountId } from "./account-views.ts";
import { type Endpoint, listing, operation, pageOf } from "./endpoint.ts";
import { timeSchema } from "./schemas.ts";

const sessionId = z.string().meta({ description: "The session's id. It opens nothing.", example: "Xn0…" });

const sessionSchema = z
  .object({
    session_id: sessionId,
    browser: z.string().optional(),
    system: z.string().optional(),
    address: z.string().optional().describe("From where it was last used."),
    acr: z.string().optional().describe("How surely the person has shown who they are."),
    kept: z.boolean().describe("It outlives the browser's window."),
    client_ids: z.array(z.string()).describe("Applications that were opened in it."),
    signed_in_at: timeSchema,
    last_used_at: timeSchema.optional(),
    expires_at: timeSchema.describe("Unless it is used before."),
  })
  .meta({ id: "Session", description: "A browser in which somebody is signed in." });

function sessionView(session: AccountSession): z.input<typeof sessionSchema> {
  const { id, device, address, acr, kept, clients, signedInAt, lastUsedAt, expiresAt } = session;
  return {
    session_id: id,
    ...(device.browser !== undefined && { browser: device.browser }),
    ...(device.system !== undefined && { system: device.system }),
    ...(address !== undefined && { address }),
    ...(acr !== undefined && { acr }),
    kept,
    client_ids: [...clients],
    signed_in_at: new Date(signedInAt * 1000).toISOString(),
    ...(lastUsedAt !== undefined && { last_used_at: lastUsedAt.toISOString() }),
    expires_at: new Date(expiresAt * 1000).toISOString(),
  };
}

const params = { account_id: accountId, session_id: sessionId };

export function sessionEndpoints(sessions: SessionOperations): Endpoint[] {
  return [
    listing({
      path: "/accounts/{account_id}/sessions",
      operationId: "listSessions",
      tag: "sessions",
      summary: "List where somebody is signed in",
      scope: "grantor:sessions:read",
      params: { account_id: accountId },
      item: sessionSchema,
      async handle(input) {
        const all = await sessions.list(input.params.account_id);
        return pageOf([...all].sort(byId), input, ({ id }) => id, sessionView);
      },
    }),
    operation({
      method: "GET",
      path: "/accounts/{account_id}/sessions/{session_id}",
      operationId: "getSession",
      tag: "sessions",
      summary: "Get a session",
      scope: "grantor:sessions:read",
      params,
      response: sessionSchema,
      handle: async ({ params: { account_id, session_id } }) => sessionView(await sessions.get(account_id, session_id)),
    }),
    operation({
      method: "DELETE",
      path: "/accounts/{account_id}/sessions/{session_id}",
      operationId: "endSession",
      tag: "sessions",
      summary: "Sign somebody out of one browser",
      description: "With what applications got in it, unless it survives sign-out. They are told (OpenID Connect Back-Channel Logout).",
      scope: "grantor:sessions:write",
      params,
      needsMatch: true,
      async handle({ params: { account_id, session_id }, expect }, { by }) {
        await sessions.end(by, account_id, session_id, (before) => expect(sessionView(before)));
      },
    }),
  ];
}

const byId = (one: AccountSession, other: AccountSession): number => (one.id < other.id ? -1 : 1);
