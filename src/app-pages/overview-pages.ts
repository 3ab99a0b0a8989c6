/** `/apps/<client_id>`: what an application is. */
import type Router from "@koa/router";
import type { AccountStore } from "../accounts/account-store.ts";
import { type Frame, hasPeople } from "./frame.ts";

export interface OverviewPagesOptions {
  issuer: string;
  accounts: Pick<AccountStore, "find">;
}

export function addOverviewPages(router: Router, frame: Frame, { issuer, accounts }: OverviewPagesOptions): void {
  router.get("/apps/:client_id", async (ctx) => {
    const visit = await frame.visit(ctx, "overview");
    if (visit === undefined) return;
    const { session, client } = visit;
    const owners = await frame.apps.owners(session.account.id, client.clientId);
    const accountsOfOwners = await Promise.all(owners.map(({ accountId }) => accounts.find(accountId)));
    frame.render(ctx, "apps/overview", {
      ...frame.appPage(ctx, "overview", visit),
      issuer,
      owners: accountsOfOwners.flatMap((account) => account?.email ?? []),
      since: client.createdAt,
      asksPeople: hasPeople(client),
    });
  });
}
