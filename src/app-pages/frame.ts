/**
 * app-pages/ holds `/apps`, the developers' portal: where people register applications and look after them. It owns no rules: it asks
 * operations/. This is what its pages have in common: who is signed in, whose application it is, and how a page says what was done.
 */
import type { Context, Middleware } from "koa";
import { timeZoneOf } from "../accounts/profile.ts";
import { ClientError } from "../clients/client-error.ts";
import { type ClientType, clientType, needsSecret } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { AppPage, AppView, PortalPage } from "../http/app-page-models.ts";
import { HttpProblem } from "../http/errors.ts";
import { languageOf } from "../http/language.ts";
import type { Render } from "../http/rendering.ts";
import { type Text, text } from "../i18n/messages.ts";
import type { OwnSession, ReadOwnSession } from "../interactions/own-session.ts";
import type { AppOperations } from "../operations/app-operations.ts";
import type { Developer } from "../operations/owner-notices.ts";
import type { ShownOnce } from "./shown-once.ts";

const WITH_PERSON: readonly ClientType[] = ["web", "spa", "native"];
const isOf =
  (types: readonly ClientType[]) =>
  ({ metadata }: ClientRecord): boolean =>
    types.includes(clientType(metadata));
/** People sign in to it, and are asked. */
export const hasPeople = ({ metadata }: ClientRecord): boolean => clientType(metadata) !== "service";
const always = (): boolean => true;

/** The pages of an application in the order in which they are offered, and which applications have them. The label is `apps:sections.<name>`. */
const SECTIONS = {
  overview: { path: "", has: always },
  quick_starts: { path: "/quick-starts", has: always },
  try: { path: "/try", has: always },
  failures: { path: "/failures", has: always },
  addresses: { path: "/addresses", has: isOf(WITH_PERSON) },
  look: { path: "/look", has: always },
  scopes: { path: "/scopes", has: always },
  secret: { path: "/secret", has: ({ metadata }: ClientRecord) => needsSecret(metadata) },
  keys: { path: "/keys", has: isOf(["web", "service"]) },
  lifetimes: { path: "/lifetimes", has: always },
  protection: { path: "/protection", has: always },
  owners: { path: "/owners", has: always },
  delete: { path: "/delete", has: always },
} as const;
export type AppSection = keyof typeof SECTIONS;

/** What a page may say was done on the one before; the words are `apps:done.<name>`. */
const DONE = [
  "saved",
  "saved_unverified",
  "previous_secret_ended",
  "invitation_withdrawn",
  "owner_removed",
  "joined",
  "left",
  "deleted",
] as const;
export type Done = (typeof DONE)[number];

/** An application, and which of its owners has come. */
export interface AppVisit {
  readonly session: OwnSession;
  readonly client: ClientRecord;
}

export interface FrameOptions {
  readonly render: Render;
  readonly verifyForm: Middleware;
  readonly ownSession: ReadOwnSession;
  readonly apps: AppOperations;
  readonly shownOnce: ShownOnce;
  /** Seconds after a sign-in in which its person may change what protects an application. */
  readonly recentSignIn: number;
  /** Of a request, for the audit. */
  facts(ctx: Context): { address: string; requestId: string };
}

export interface Frame {
  readonly render: Render;
  readonly verifyForm: Middleware;
  readonly apps: AppOperations;
  /** For secrets that were just made. */
  readonly shownOnce: ShownOnce;
  /**
   * Who is signed in; `undefined` when nobody is, and then the answer leads to the sign-in page and back.
   * @param returnTo a path below `/apps`, of letters, digits, `-` and `_`
   */
  signedIn(ctx: Context, returnTo: string): Promise<OwnSession | undefined>;
  /**
   * The application that `:client_id` names, when it is one of whoever is signed in and has that page; `undefined` as `signedIn`.
   * @param below a page below the section's own: `/rotate`
   * @throws {HttpProblem} 404 for everybody else's, and when it has no such page  @throws {ClientError} the same
   */
  visit(ctx: Context, section: AppSection, below?: string): Promise<AppVisit | undefined>;
  /** As `visit`; who signed in too long ago is asked to do it again, and comes back to the section. What was posted is lost then. */
  recently(ctx: Context, section: AppSection): Promise<AppVisit | undefined>;
  /** The application that a form is about which may have been sent before: undefined when it is none of theirs. */
  ofSentBefore(session: OwnSession, clientId: string): Promise<ClientRecord | undefined>;
  /** What every page of the portal shows. */
  page(ctx: Context, session: OwnSession): PortalPage;
  /** What every page of an application shows. */
  appPage(ctx: Context, section: AppSection, visit: AppVisit): AppPage;
  /** Leads to a page of an application that says what was done. */
  done(ctx: Context, section: AppSection, clientId: string, what: Done): void;
  /** Who gives an order, and from where. */
  developer(ctx: Context, session: OwnSession): Developer;
}

/** @param now milliseconds since the epoch */
export function createFrame(options: FrameOptions, now: () => number = Date.now): Frame {
  const { render, verifyForm, ownSession, apps, shownOnce, recentSignIn, facts } = options;

  async function signedIn(ctx: Context, returnTo: string): Promise<OwnSession | undefined> {
    const session = await ownSession(ctx);
    if (session === undefined) seeOther(ctx, `/sign-in?return_to=${encodeURIComponent(returnTo)}`);
    return session;
  }

  async function visit(ctx: Context, section: AppSection, below = ""): Promise<AppVisit | undefined> {
    const clientId = String(ctx.params.client_id);
    const session = await signedIn(ctx, appPath(clientId, section) + below);
    if (session === undefined) return undefined;
    const client = await apps.owned(session.account.id, clientId);
    if (!SECTIONS[section].has(client)) throw noSuchPage();
    return { session, client };
  }

  function page(ctx: Context, { account }: OwnSession): PortalPage {
    const done = DONE.find((each) => each === ctx.query.done);
    return { person: { email: account.email, name: account.name }, notice: done && text(`apps:done.${done}`), zone: timeZoneOf(account) };
  }

  return {
    render,
    verifyForm,
    apps,
    shownOnce,
    signedIn,
    visit,
    async recently(ctx, section) {
      const visited = await visit(ctx, section);
      if (visited === undefined || visited.session.signedInAt > now() / 1000 - recentSignIn) return visited;
      seeOther(ctx, `/sign-in?fresh=1&return_to=${encodeURIComponent(appPath(visited.client.clientId, section))}`);
      return undefined;
    },
    async ofSentBefore({ account }, clientId) {
      try {
        return await apps.owned(account.id, clientId);
      } catch (error) {
        if (error instanceof ClientError && error.code === "not_found") return undefined;
        throw error;
      }
    },
    page,
    appPage: (ctx, section, { session, client }) => ({
      ...page(ctx, session),
      app: appView(client),
      sections: (Object.keys(SECTIONS) as AppSection[])
        .filter((each) => SECTIONS[each].has(client))
        .map((each) => ({ path: appPath(client.clientId, each), label: text(`apps:sections.${each}`), current: each === section })),
    }),
    done: (ctx, section, clientId, what) => seeOther(ctx, `${appPath(clientId, section)}?done=${what}`),
    developer: (ctx, { account }) => ({
      account,
      by: { actor: account.id, ...facts(ctx) },
      origin: { address: ctx.state.client.address, language: languageOf(ctx) },
    }),
  };
}

/** The path of a page of an application. */
export const appPath = (clientId: string, section: AppSection): string => `/apps/${encodeURIComponent(clientId)}${SECTIONS[section].path}`;

export const nameOf = ({ clientId, metadata }: ClientRecord): string => metadata.client_name ?? clientId;

export function appView(client: ClientRecord): AppView {
  const { clientId, metadata, verified, suspendedAt } = client;
  const name = nameOf(client);
  const path = appPath(clientId, "overview");
  return { clientId, name, kind: kindWords(clientType(metadata)), path, verified, suspended: suspendedAt !== undefined };
}

const kindWords = (type: ClientType): Text => text(`apps:kinds.${type}.name`);

/** What an owner is told of everybody else's application, and of none. */
export const noSuchApp = (): HttpProblem =>
  new HttpProblem(404, "not_found", text("apps:not_yours.message"), { title: text("apps:not_yours.title") });

const noSuchPage = (): HttpProblem => new HttpProblem(404, "not_found", text("errors:404.message"));

export function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
