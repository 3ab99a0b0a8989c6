/** Signing in with another provider: the button, the provider's answer, and the way back into the sign-in that waits. */
import Router from "@koa/router";
import type { Context, Middleware } from "koa";
import type { Account } from "../accounts/account.ts";
import { accountErrors } from "../accounts/account-errors-middleware.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { SecurityNotices } from "../accounts/security-notices.ts";
import type { Throttle } from "../accounts/throttle.ts";
import type { Federation, Purpose } from "../federation/federation.ts";
import { HttpProblem } from "../http/errors.ts";
import { languageOf } from "../http/language.ts";
import { text } from "../i18n/messages.ts";
import type { ReadOwnSession } from "./own-session.ts";
import { type ProviderVisits, withProblem } from "./provider-visits.ts";
import type { SignIns } from "./sign-in.ts";
import { type Interaction, type Steps, seeOther } from "./steps.ts";

export interface FederationRoutesOptions {
  issuer: string;
  verifyForm: Middleware;
  steps: Pick<Steps, "open">;
  signIns: Pick<SignIns, "proceed">;
  accounts: Pick<AccountStore, "find">;
  ownSession: ReadOwnSession;
  federation: Federation;
  visits: ProviderVisits;
  throttle: Pick<Throttle, "require">;
  /** Told of every visit to a provider from which nobody came back signed in. */
  onRefused(ctx: Context, attempt: { accountId: string | undefined; clientId: string | undefined; outcome: string }): void;
  notices: SecurityNotices;
  /** Told when a provider was connected to an account, or has made one. */
  onConnected(ctx: Context, account: Account, connected: { provider: string; how: "linked" | "created" }): void;
}

const CONNECT_PAGE = "/account/providers";

export function federationRoutes(options: FederationRoutesOptions): Router {
  const { issuer, verifyForm, steps, signIns, accounts, ownSession, federation, visits } = options;
  const router = new Router();
  router.use(accountErrors());

  router.post("/interaction/:uid/federation/:provider", verifyForm, async (ctx) => {
    const interaction = await steps.open(ctx);
    const { email = "", keep } = ctx.state.form ?? {};
    const loginHint = email.includes("@") && email.length <= 254 ? email.trim() : undefined;
    await options.throttle.require("stranger", { address: ctx.state.client.address }); // each leaves a row
    const purpose = { interaction: interaction.uid, keep: keep === "yes", ...freshnessOf(interaction) };
    await visits.begin(ctx, ctx.params.provider as string, purpose, { loginHint }, pageOf(purpose));
  });

  router.get("/federation/:provider/callback", async (ctx) => {
    const providerId = ctx.params.provider as string;
    const secret = visits.end(ctx, providerId);
    const outcome =
      secret === undefined
        ? undefined
        : await federation.answer(providerId, {
            url: new URL(`${issuer}${ctx.path}${ctx.search}`),
            secret,
            signedIn: async () => (await ownSession(ctx))?.account.id,
          });
    if (outcome === undefined) throw expired();
    const { purpose, provider } = outcome;
    if ("problem" in outcome) {
      const accountId = "accountId" in purpose ? purpose.accountId : undefined;
      options.onRefused(ctx, { accountId, clientId: undefined, outcome: `provider_${outcome.problem}` });
      return seeOther(ctx, withProblem(pageOf(purpose), outcome.problem, providerId));
    }
    if ("added" in outcome) {
      const account = await accounts.find(outcome.purpose.accountId);
      if (outcome.added && account !== undefined) connected(ctx, account, provider, "linked");
      return seeOther(ctx, `${CONNECT_PAGE}?done=provider_connected`);
    }
    const { signedIn, identity, amr } = outcome;
    const { account, how } = signedIn;
    if (how !== "known") connected(ctx, account, provider, how);
    const { interaction, keep } = outcome.purpose;
    await visits.handOver(ctx, { interaction, keep, accountId: account.id, identity, amr });
  });

  // The cookie of an interaction comes to addresses below its own alone.
  router.get("/interaction/:uid/federated", async (ctx) => {
    const interaction = await steps.open(ctx);
    const result = await visits.takeOver(ctx, interaction.uid);
    const account = result && (await accounts.find(result.accountId));
    if (result === undefined || account === undefined || account.disabledAt !== undefined || !account.emailVerified) {
      return seeOther(ctx, `/interaction/${interaction.uid}`);
    }
    const { amr, keep, identity } = result;
    await signIns.proceed(ctx, interaction, { account, amr, keep, shown: { identity } });
  });

  return router;

  /** Of an account that is new, its owner need not be told. */
  function connected(ctx: Context, account: Account, provider: string, how: "linked" | "created"): void {
    options.onConnected(ctx, account, { provider, how });
    const origin = { address: ctx.state.client.address, language: languageOf(ctx) };
    if (how === "linked") options.notices.tell(account, "provider_linked", origin);
  }
}

/** Whether the application asks for a new sign-in (OIDC Core §3.1.2.1): then the provider is asked for one as well. */
export function freshnessOf({ params }: Pick<Interaction, "params">): { fresh: boolean; maxAge: number | undefined } {
  const { prompt, max_age: maxAge } = params;
  const fresh = typeof prompt === "string" && prompt.split(" ").includes("login");
  const seconds = maxAge === undefined ? undefined : Number(maxAge);
  return { fresh, maxAge: seconds !== undefined && Number.isFinite(seconds) ? seconds : undefined };
}

const pageOf = (purpose: Purpose): string => ("interaction" in purpose ? `/interaction/${purpose.interaction}` : CONNECT_PAGE);

const expired = (): HttpProblem =>
  new HttpProblem(400, "sign_in_expired", text("federation:expired.message"), {
    title: text("errors:interaction.title"),
    advice: text("federation:expired.advice"),
  });
