import { z } from "zod";
import { ClientError } from "../clients/client-error.ts";
import { CLIENT_TYPES } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { ClientStore, ClientWithSecret } from "../clients/client-store.ts";
import { splitScope } from "../clients/scopes.ts";
import type { ClientOperations } from "../operations/client-operations.ts";
import { clientId, clientOrder, clientOrderSchema, clientSchema, clientView } from "./client-views.ts";
import { refuseBeyond, refuseMightierClient } from "./containment.ts";
import { type Caller, type Endpoint, listing, operation } from "./endpoint.ts";
import { listPlace, placePosition } from "./places.ts";
import { Problem } from "./problems.ts";
import { flagSchema } from "./schemas.ts";

export interface ClientEndpoints {
  readonly clients: Pick<ClientStore, "list">;
  readonly operations: ClientOperations;
}

const secretShown = clientSchema.extend({ client_secret: z.string().optional().describe("Shown this once.") });
const viewWithSecret = ({ client, secret }: ClientWithSecret): z.input<typeof secretShown> => ({
  ...clientView(client),
  ...(secret !== undefined && { client_secret: secret }),
});
const params = { client_id: clientId };

/** Whoever carried the request out did not live to say so, and nobody has seen the secret. */
const madeBefore =
  ({ newId }: Caller) =>
  (error: unknown): never => {
    if (newId === undefined || !(error instanceof ClientError) || error.code !== "conflict") throw error;
    const what = `This request was carried out before and its answer was lost. The application is ${newId}`;
    throw new Problem("conflict", `${what}; if it needs a secret, give it one by POST /clients/${newId}/rotate-secret.`, { cause: error });
  };

export function clientEndpoints({ clients, operations }: ClientEndpoints): Endpoint[] {
  /** An order without further words, which answers with the application as it then is. */
  const order = (
    verb: string,
    { operationId, summary, description }: { operationId: string; summary: string; description: string },
    carryOut: (id: string, caller: Caller) => Promise<ClientRecord>,
  ): Endpoint =>
    operation({
      method: "POST",
      path: `/clients/{client_id}/${verb}`,
      operationId,
      tag: "clients",
      summary,
      description,
      scope: "grantor:clients:write",
      params,
      response: clientSchema,
      handle: async (input, caller) => clientView(await carryOut(input.params.client_id, caller)),
    });

  return [
    listing({
      path: "/clients",
      operationId: "listClients",
      tag: "clients",
      summary: "List or search applications, in the order of their registration",
      description:
        "`search` finds a `client_id` at once, and else words of name and `client_id`, of which the last may be only begun. A page that is searched for may be short, or even empty, and have a `next` all the same: it costs no more than a page that is full.",
      scope: "grantor:clients:read",
      query: {
        search: z.string().max(200).optional(),
        owner: z.string().max(200).optional().describe("The account that looks after it."),
        grant_type: z.string().max(200).optional(),
        verified: flagSchema.optional(),
        suspended: flagSchema.optional(),
        created_by: z.string().max(200).optional(),
      },
      item: clientSchema,
      async handle({ query: { search, owner, grant_type, verified, suspended, created_by }, limit, after }) {
        const page = await clients.list({
          limit,
          ...listPlace(after),
          ...(search !== undefined && { search }),
          ...(owner !== undefined && { owner }),
          ...(grant_type !== undefined && { grantType: grant_type }),
          ...(verified !== undefined && { verified }),
          ...(suspended !== undefined && { suspended }),
          ...(created_by !== undefined && { createdBy: created_by }),
        });
        return { items: page.clients.map(clientView), next: placePosition(page.next) };
      },
    }),
    operation({
      method: "POST",
      path: "/clients",
      operationId: "createClient",
      tag: "clients",
      summary: "Register an application",
      description: "What is absent comes from its `type`. A secret, where it needs one, is shown this once.",
      scope: "grantor:clients:write",
      body: clientOrderSchema.extend({ type: z.enum(CLIENT_TYPES).describe("What kind of application it is: its defaults follow.") }),
      response: secretShown,
      status: 201,
      location: ({ client_id }) => `/clients/${encodeURIComponent(client_id)}`,
      shownOnce: ["client_secret"],
      async handle({ body: { type, ...body } }, caller) {
        refuseBeyond(caller, splitScope(body.scope ?? ""));
        return viewWithSecret(await operations.create(caller.by, { type, ...clientOrder(body) }, caller.newId).catch(madeBefore(caller)));
      },
    }),
    operation({
      method: "GET",
      path: "/clients/{client_id}",
      operationId: "getClient",
      tag: "clients",
      summary: "Get an application",
      scope: "grantor:clients:read",
      params,
      response: clientSchema,
      handle: async ({ params: { client_id } }) => clientView(await operations.get(client_id)),
    }),
    operation({
      method: "PATCH",
      path: "/clients/{client_id}",
      operationId: "updateClient",
      tag: "clients",
      summary: "Change an application",
      description:
        "What is absent stays; `null` takes away (RFC 7396). An application that comes to need a secret gets one, which is shown this once.",
      scope: "grantor:clients:write",
      params,
      body: clientOrderSchema,
      response: secretShown,
      shownOnce: ["client_secret"],
      needsMatch: true,
      async handle({ params: { client_id }, body, expect }, caller) {
        refuseMightierClient(caller, await operations.get(client_id));
        refuseBeyond(caller, splitScope(body.scope ?? ""));
        return viewWithSecret(await operations.update(caller.by, client_id, clientOrder(body), (before) => expect(clientView(before))));
      },
    }),
    operation({
      method: "DELETE",
      path: "/clients/{client_id}",
      operationId: "deleteClient",
      tag: "clients",
      summary: "Delete an application",
      description: "With its consents, grants and tokens, for good.",
      scope: "grantor:clients:write",
      params,
      needsMatch: true,
      async handle({ params: { client_id }, expect }, { by }) {
        await operations.delete(by, client_id, (before) => expect(clientView(before)));
      },
    }),
    order(
      "suspend",
      {
        operationId: "suspendClient",
        summary: "Suspend an application",
        description: "Its grants and tokens end, and until it is resumed it is as good as not registered.",
      },
      (id, { by }) => operations.suspend(by, id),
    ),
    order(
      "resume",
      { operationId: "resumeClient", summary: "Let an application go on", description: "What it had before stays ended." },
      async (id, caller) => {
        refuseMightierClient(caller, await operations.get(id));
        return operations.resume(caller.by, id);
      },
    ),
    operation({
      method: "POST",
      path: "/clients/{client_id}/rotate-secret",
      operationId: "rotateClientSecret",
      tag: "clients",
      summary: "Give an application a new secret",
      description: "It counts at once, and the one before it for `overlap` seconds more. There are never more than two.",
      scope: "grantor:clients:write",
      params,
      body: z.strictObject({ overlap: z.int().min(0).max(2_592_000).default(0) }),
      response: secretShown,
      shownOnce: ["client_secret"],
      async handle({ params: { client_id }, body: { overlap } }, caller) {
        refuseMightierClient(caller, await operations.get(client_id));
        return viewWithSecret(await operations.rotateSecret(caller.by, client_id, { overlap }));
      },
    }),
    order(
      "end-previous-secret",
      {
        operationId: "endPreviousClientSecret",
        summary: "End the secret before the current one",
        description: "It stops working at once.",
      },
      (id, { by }) => operations.endPreviousSecret(by, id),
    ),
  ];
}
