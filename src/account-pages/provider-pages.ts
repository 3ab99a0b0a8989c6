/** `/account/providers`: the accounts elsewhere with which a person signs in here; connecting and disconnecting them. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { AccountError } from "../accounts/account-error.ts";
import type { SecurityNotices } from "../accounts/security-notices.ts";
import type { Federation } from "../federation/federation.ts";
import type { Linking } from "../federation/linking.ts";
import { vouches } from "../federation/provider.ts";
import type { FormErrors } from "../http/page-parts.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import type { ProviderVisits } from "../interactions/provider-visits.ts";
import { type Frame, seeOther } from "./frame.ts";

export interface ProviderPagesOptions {
  federation: Pick<Federation, "offered">;
  visits: ProviderVisits;
  linking: Pick<Linking, "list" | "unlink">;
  notices: SecurityNotices;
}

const HERE = "/account/providers";

export function addProviderPages(router: Router, frame: Frame, { federation, visits, linking, notices }: ProviderPagesOptions): void {
  router.get(HERE, async (ctx) => {
    const session = await frame.signedIn(ctx, "providers");
    if (session !== undefined) await show(ctx, session, await visits.problem(ctx));
  });

  // What a form's answer has as its address is a page as well.
  router.get([`${HERE}/connect`, `${HERE}/disconnect`], (ctx) => seeOther(ctx, HERE));

  router.post(`${HERE}/connect`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "providers");
    if (session === undefined) return;
    await visits.begin(ctx, ctx.state.form?.provider ?? "", { accountId: session.account.id }, {}, HERE);
  });

  router.post(`${HERE}/disconnect`, frame.verifyForm, async (ctx) => {
    const session = await frame.recently(ctx, "providers");
    if (session === undefined) return;
    const { issuer = "", subject = "" } = ctx.state.form ?? {};
    try {
      if (await linking.unlink(session.account.id, { issuer, subject })) {
        notices.tell(session.account, "provider_unlinked", frame.origin(ctx));
        frame.report(ctx, session, { event: "provider.disconnected", detail: { issuer } });
      }
    } catch (error) {
      if (!(error instanceof AccountError) || error.code !== "last_way_in") throw error;
      ctx.status = error.status;
      return show(ctx, session, { form: error.words });
    }
    frame.done(ctx, "providers", "provider_disconnected");
  });

  async function show(ctx: Context, session: OwnSession, errors: FormErrors | undefined): Promise<void> {
    const [offered, own] = await Promise.all([federation.offered(), linking.list(session.account.id)]);
    const linked = own.map(({ issuer, subject, label, createdAt, lastUsedAt }) => {
      const provider = offered.find((each) => vouches(each, issuer));
      return { issuer, subject, label, name: provider?.name ?? new URL(issuer).host, since: createdAt, lastUsed: lastUsedAt };
    });
    frame.render(ctx, "account/providers", {
      ...frame.page(ctx, "providers", session),
      action: HERE,
      errors,
      linked,
      offered: offered.filter((each) => !own.some(({ issuer }) => vouches(each, issuer))).map(({ id, name }) => ({ id, name })),
    });
  }
}
