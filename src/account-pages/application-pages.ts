/** `/account/applications`: what a person has allowed to applications, and taking it back. */
import type Router from "@koa/router";
import type { Account } from "../accounts/account.ts";
import type { ConsentStore } from "../accounts/consent-store.ts";
import type { ClientStore } from "../clients/client-store.ts";
import { type DescribedResource, describeScopes } from "../interactions/scope-words.ts";
import type { Frame } from "./frame.ts";

export interface ApplicationPagesOptions {
  issuer: string;
  consents: Pick<ConsentStore, "find" | "list" | "withdraw">;
  clients: Pick<ClientStore, "find">;
  findResource(audience: string): Promise<DescribedResource | undefined>;
  /** Ends the grants that a person gave to an application. */
  endConsent(accountId: string, clientId: string): Promise<void>;
}

export function addApplicationPages(router: Router, frame: Frame, options: ApplicationPagesOptions): void {
  const { issuer, consents, clients, findResource, endConsent } = options;

  router.get("/account/applications", async (ctx) => {
    const session = await frame.signedIn(ctx, "applications");
    if (session === undefined) return;
    frame.render(ctx, "account/applications", {
      ...frame.page(ctx, "applications", session),
      action: "/account/applications/remove",
      applications: await applicationsOf(session.account),
    });
  });

  router.post("/account/applications/remove", frame.verifyForm, async (ctx) => {
    const session = await frame.signedIn(ctx, "applications");
    if (session === undefined) return;
    const clientId = ctx.state.form?.client_id ?? "";
    const accountId = session.account.id;
    if ((await consents.find(accountId, clientId)) !== undefined) {
      // What came of it ends first: should that fail, it is still there to be taken back. Then what came of it meanwhile.
      await endConsent(accountId, clientId);
      await consents.withdraw(accountId, clientId);
      await endConsent(accountId, clientId);
      frame.report(ctx, session, { event: "consent.withdrawn", clientId });
    }
    frame.done(ctx, "applications", "application_removed");
  });

  async function applicationsOf(account: Account) {
    return Promise.all(
      (await consents.list(account.id)).map(async ({ clientId, createdAt, lastUsedAt, openid, resources }) => {
        const client = await clients.find(clientId);
        // At the issuer itself, the scopes are those of the person's own data.
        const { [issuer]: _own, ...others } = resources;
        const groups = await describeScopes(openid.split(" "), listed(others), findResource);
        return { clientId, name: client?.metadata.client_name ?? clientId, since: createdAt, lastUsedAt, groups };
      }),
    );
  }
}

const listed = (resources: Readonly<Record<string, string>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(resources).map(([audience, scopes]) => [audience, scopes.split(" ").filter(Boolean)]));
