/** What people allowed applications, and what these hold of it. */
import { z } from "zod";
import type { GivenConsent } from "../accounts/consent-store.ts";
import type { GrantOperations, LiveGrant } from "../operations/grant-operations.ts";
import { accountId } from "./account-views.ts";
import { clientId } from "./client-views.ts";
import { type Endpoint, listing, operation } from "./endpoint.ts";
import { timeSchema } from "./schemas.ts";

const grantSchema = z
  .object({
    account_id: accountId,
    client_id: clientId,
    scope: z.string().describe("Of OpenID Connect, space-separated."),
    resources: z.record(z.string(), z.string()).describe("By the audience of a resource: its scopes, space-separated."),
    last_used_at: timeSchema.optional().describe("When the application last got tokens, to the hour."),
    created_at: timeSchema,
    updated_at: timeSchema.describe("When the person last allowed something more."),
  })
  .meta({ id: "Grant", description: "What a person allowed an application. Tokens come of it until it is ended." });

function grantView(consent: GivenConsent): z.input<typeof grantSchema> {
  const { accountId, clientId, openid, resources, lastUsedAt, createdAt, updatedAt } = consent;
  return {
    account_id: accountId,
    client_id: clientId,
    scope: openid,
    resources: { ...resources },
    ...(lastUsedAt !== undefined && { last_used_at: lastUsedAt.toISOString() }),
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  };
}

const params = { account_id: accountId, client_id: clientId };

const grantId = z.string().meta({ description: "The grant's id. It opens nothing.", example: "9dYq…" });

const liveGrantSchema = z
  .object({
    grant_id: grantId,
    account_id: accountId,
    client_id: clientId,
    scope: z.string().describe("Of OpenID Connect, space-separated."),
    resources: z.record(z.string(), z.string()).describe("By the audience of a resource: its scopes, space-separated."),
    granted_at: timeSchema,
  })
  .meta({
    id: "LiveGrant",
    description: "One sign-in at an application, or one device: codes and tokens are issued under it until it ends.",
  });

function liveGrantView(grant: LiveGrant): z.input<typeof liveGrantSchema> {
  return {
    grant_id: grant.id,
    account_id: grant.accountId,
    client_id: grant.clientId,
    scope: grant.openid,
    resources: { ...grant.resources },
    granted_at: new Date(grant.grantedAt * 1000).toISOString(),
  };
}

const ofLive = { tag: "grants", params: { account_id: accountId, grant_id: grantId } } as const;

export function grantEndpoints(grants: GrantOperations): Endpoint[] {
  return [
    listing({
      path: "/grants",
      operationId: "listGrants",
      tag: "grants",
      summary: "List what people allowed applications",
      description:
        "In the order of accounts and applications. Those of first-party applications ask for nobody's consent and do not stand here: `/accounts/{account_id}/live-grants` names what they hold.",
      scope: "grantor:grants:read",
      query: { account_id: z.string().max(200).optional(), client_id: z.string().max(200).optional() },
      item: grantSchema,
      async handle({ query: { account_id, client_id }, limit, after }) {
        const [account, client] = (after ?? []) as readonly string[];
        const page = await grants.list({
          accountId: account_id,
          clientId: client_id,
          limit,
          ...(account !== undefined && client !== undefined && { after: { accountId: account, clientId: client } }),
        });
        const last = page.more ? page.consents.at(-1) : undefined;
        return { items: page.consents.map(grantView), next: last && [last.accountId, last.clientId] };
      },
    }),
    operation({
      method: "GET",
      path: "/grants/{account_id}/{client_id}",
      operationId: "getGrant",
      tag: "grants",
      summary: "Get what a person allowed an application",
      scope: "grantor:grants:read",
      params,
      response: grantSchema,
      handle: async ({ params: { account_id, client_id } }) => grantView(await grants.get(account_id, client_id)),
    }),
    operation({
      method: "DELETE",
      path: "/grants/{account_id}/{client_id}",
      operationId: "endGrant",
      tag: "grants",
      summary: "Take back what a person allowed an application",
      description: "Every code and token that came of it ends. The application asks the person anew.",
      scope: "grantor:grants:write",
      params,
      needsMatch: true,
      async handle({ params: { account_id, client_id }, expect }, { by }) {
        await grants.end(by, account_id, client_id, (before) => expect(grantView(before)));
      },
    }),
    listing({
      path: "/accounts/{account_id}/live-grants",
      operationId: "listLiveGrants",
      tag: "grants",
      summary: "List what applications hold of somebody",
      description:
        "Every sign-in at an application and every device that has not ended, with consent or, at first-party applications, without. In the order of ids. There is no such list of one application: it may have millions; suspending it ends them all.",
      scope: "grantor:grants:read",
      params: { account_id: accountId },
      item: liveGrantSchema,
      async handle({ params: { account_id }, limit, after }) {
        const { grants: found, next } = await grants.live(account_id, { limit, ...(after !== undefined && { after: String(after) }) });
        return { items: found.map(liveGrantView), next };
      },
    }),
    operation({
      ...ofLive,
      method: "GET",
      path: "/accounts/{account_id}/live-grants/{grant_id}",
      operationId: "getLiveGrant",
      summary: "Get what an application holds of somebody",
      scope: "grantor:grants:read",
      response: liveGrantSchema,
      handle: async ({ params: { account_id, grant_id } }) => liveGrantView(await grants.getLive(account_id, grant_id)),
    }),
    operation({
      ...ofLive,
      method: "DELETE",
      path: "/accounts/{account_id}/live-grants/{grant_id}",
      operationId: "endLiveGrant",
      summary: "End what an application holds of somebody",
      description:
        "Every code and token that was issued under it ends. What the person allowed stays, and so does their session: with these the application may get another without asking.",
      scope: "grantor:grants:write",
      needsMatch: true,
      async handle({ params: { account_id, grant_id }, expect }, { by }) {
        await grants.endLive(by, account_id, grant_id, (before) => expect(liveGrantView(before)));
      },
    }),
  ];
}
