/**
 * `/apps/new`: an application in two steps. Its id and secret are made with the form and lie in it, sealed, so that a form which is sent twice makes
 * one application, and leads to the same page whichever of the answers the browser goes by. There the secret is shown (shown-once.ts), and nowhere else.
 */
import type Router from "@koa/router";
import type { Context } from "koa";
import { ClientError } from "../clients/client-error.ts";
import { CLIENT_TYPES, type ClientType } from "../clients/client-metadata.ts";
import { generateSecret, isSecretOf, newClientId } from "../clients/client-secrets.ts";
import { splitScope } from "../clients/scopes.ts";
import type { FormErrors } from "../http/page-parts.ts";
import type { OwnSession } from "../interactions/own-session.ts";
import type { OwnersChange } from "../operations/app-operations.ts";
import { checkedLists, linesOf, showBesideFields } from "./fault-words.ts";
import { appPath, appView, type Frame, seeOther } from "./frame.ts";
import { chosenScope, scopeChoices, usualScopes } from "./scope-choice.ts";
import { FORM_LIFE } from "./shown-once.ts";
import type { Timed, TimedSeal } from "./timed-seal.ts";

export interface WizardPagesOptions {
  issuer: string;
  /** Hides what an application that is being made will have, and binds it to whoever makes it. */
  sealed: TimedSeal;
}

/** Where the quick starts run, and where a native application listens on the person's own machine: any port will do. */
const USUAL_ADDRESSES: Partial<Record<ClientType, { redirect_uris: string; post_logout_redirect_uris: string }>> = {
  web: { redirect_uris: "http://localhost:4000/callback", post_logout_redirect_uris: "http://localhost:4000/" },
  spa: { redirect_uris: "http://localhost:4000/callback", post_logout_redirect_uris: "http://localhost:4000/" },
  native: { redirect_uris: "http://127.0.0.1/callback", post_logout_redirect_uris: "" },
};
const FIELDS = ["client_name", "redirect_uris", "post_logout_redirect_uris", "scope"];

/** @param now milliseconds since the epoch */
export function addWizardPages(router: Router, frame: Frame, { issuer, sealed }: WizardPagesOptions, now: () => number = Date.now): void {
  router.get("/apps/new", async (ctx) => {
    const session = await welcome(ctx, "/apps/new");
    if (session !== undefined) frame.render(ctx, "apps/new", { ...frame.page(ctx, session), kinds: CLIENT_TYPES });
  });

  router.get("/apps/new/:kind", async (ctx, next) => {
    const kind = kindOf(ctx);
    if (kind === undefined) return next();
    const session = await welcome(ctx, `/apps/new/${kind}`);
    if (session !== undefined) await show(ctx, session, kind, { client_name: "", ...USUAL_ADDRESSES[kind] }, newForm());
  });

  router.post("/apps/new/:kind", frame.verifyForm, async (ctx, next) => {
    const kind = kindOf(ctx);
    if (kind === undefined) return next();
    const session = await frame.signedIn(ctx, `/apps/new/${kind}`);
    if (session === undefined) return;
    const { account } = session;
    const form: Record<string, string> = ctx.state.form ?? {};
    const made = sealed.open<NewForm>(form.application ?? "", contextOf(account.id)) ?? newForm();
    const { clientId, secret } = made;
    const app = { type: kind, clientId, secret, metadata: metadataOf(kind, form) };
    try {
      const { secret: used } = await frame.apps.create(frame.developer(ctx, session), app);
      if (used !== undefined) frame.shownOnce.keep(ctx, account.id, clientId, used);
    } catch (error) {
      // Sent twice, whoever comes second finds it made, or no room left for another one: it is theirs all the same.
      const before = await frame.ofSentBefore(session, clientId);
      if (before === undefined) {
        if (error instanceof ClientError && (error.code === "too_many" || error.code === "not_allowed")) return seeOther(ctx, "/apps");
        return show(ctx, session, kind, form, made, showBesideFields(ctx, error, FIELDS));
      }
      if (isSecretOf(before, secret, now())) await frame.shownOnce.keepUnlessShown(ctx, account.id, clientId, secret);
    }
    seeOther(ctx, `${appPath(clientId, "overview")}/created`);
  });

  router.get("/apps/:client_id/created", async (ctx) => {
    const visit = await frame.visit(ctx, "overview", "/created");
    if (visit === undefined) return;
    const { session, client } = visit;
    frame.render(ctx, "apps/created", {
      ...frame.page(ctx, session),
      app: appView(client),
      issuer,
      hasSecret: client.secretHash !== undefined,
      secret: await frame.shownOnce.take(ctx, session.account.id, client.clientId),
      quickStarts: appPath(client.clientId, "quick_starts"),
      tryIt: appPath(client.clientId, "try"),
      newSecret: appPath(client.clientId, "secret"),
    });
  });

  /** Who may register an application; everybody else is told why not at `/apps`. */
  async function welcome(ctx: Context, path: string): Promise<OwnSession | undefined> {
    const session = await frame.signedIn(ctx, path);
    if (session === undefined || (await frame.apps.refusalFor(session.account)) === undefined) return session;
    seeOther(ctx, "/apps");
    return undefined;
  }

  async function show(
    ctx: Context,
    session: OwnSession,
    kind: ClientType,
    typed: Readonly<Record<string, string>>,
    made: NewForm,
    errors?: FormErrors,
  ): Promise<void> {
    const { account } = session;
    const offered = kind === "service" ? frame.apps.offeredScopes(account, kind) : undefined;
    frame.render(ctx, "apps/new-app", {
      ...frame.page(ctx, session),
      kind,
      action: `/apps/new/${kind}`,
      hidden: { application: sealed.seal(made, contextOf(account.id)) },
      hasAddresses: USUAL_ADDRESSES[kind] !== undefined,
      uriKind: kind === "native" ? "redirect_native" : "redirect_web",
      typed,
      lines: checkedLists(typed, kind === "native" ? "redirect_native" : "redirect_web"),
      scopes: offered && (await scopeChoices(offered, splitScope(chosenScope(typed)))),
      errors,
    });
  }

  const newForm = (): NewForm => ({ clientId: newClientId(), secret: generateSecret(), until: now() + FORM_LIFE });
}

/**
 * What a form makes while it counts; one that lies for longer makes another application. Without an end one that was deleted, by an operator or by an
 * owner of later days, would come back under its id to whoever had kept the form.
 */
interface NewForm extends Timed {
  readonly clientId: string;
  readonly secret: string;
}

const contextOf = (accountId: string): string => `new application ${accountId}`;

const kindOf = (ctx: Context): ClientType | undefined => CLIENT_TYPES.find((type) => type === ctx.params.kind);

/** What the kind does not need is not read. */
function metadataOf(kind: ClientType, form: Readonly<Record<string, string>>): OwnersChange {
  const afterSignOut = linesOf(form.post_logout_redirect_uris);
  return {
    client_name: (form.client_name ?? "").trim(),
    scope: kind === "service" ? chosenScope(form) : usualScopes(kind).join(" "),
    ...(USUAL_ADDRESSES[kind] !== undefined && {
      redirect_uris: linesOf(form.redirect_uris),
      ...(afterSignOut.length > 0 && { post_logout_redirect_uris: afterSignOut }),
    }),
  };
}
