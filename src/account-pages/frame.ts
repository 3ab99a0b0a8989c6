/**
 * account-pages/ holds `/account`: what a person looks after by themselves. It owns no logic: it asks the rooms that do. This is what its pages
 * have in common: who is signed in, whether lately enough, and how a page says what was done.
 */
import type { Context, Middleware } from "koa";
import { timeZoneOf } from "../accounts/profile.ts";
import type { Origin } from "../accounts/security-notices.ts";
import { languageOf } from "../http/language.ts";
import type { AccountPage } from "../http/pages.ts";
import type { Render } from "../http/rendering.ts";
import { text } from "../i18n/messages.ts";
import type { OwnSession, ReadOwnSession } from "../interactions/own-session.ts";

/** The pages, in the order in which they are offered; the label is `account:sections.<name>`. */
const SECTIONS = {
  overview: "/account",
  profile: "/account/profile",
  email: "/account/email",
  password: "/account/password",
  two_step: "/account/two-step",
  passkeys: "/account/passkeys",
  providers: "/account/providers",
  sessions: "/account/sessions",
  applications: "/account/applications",
  events: "/account/events",
  data: "/account/data",
  delete: "/account/delete",
} as const;
export type Section = keyof typeof SECTIONS;

export const sectionLink = (section: Section) => ({ path: SECTIONS[section], label: text(`account:sections.${section}`) });

/** What a page may say was done on the one before; the words are `account:done.<name>`. */
const DONE = [
  "session_ended",
  "sessions_ended",
  "application_removed",
  "profile_saved",
  "email_changed",
  "password_changed",
  "second_factor_added",
  "second_factor_removed",
  "recovery_codes_useless",
  "passkey_added",
  "passkey_renamed",
  "passkey_removed",
  "provider_connected",
  "provider_disconnected",
] as const;
export type Done = (typeof DONE)[number];

export interface AccountEvent {
  readonly event: string;
  readonly outcome?: "success" | "failure";
  readonly clientId?: string;
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}

export interface FrameOptions {
  readonly render: Render;
  readonly verifyForm: Middleware;
  readonly ownSession: ReadOwnSession;
  /** Seconds after a sign-in in which its person may change what protects the account. */
  readonly recentSignIn: number;
  /** For the audit: told after the fact. */
  onEvent(ctx: Context, accountId: string, event: AccountEvent): void;
}

export interface Frame {
  readonly render: Render;
  readonly verifyForm: Middleware;
  /**
   * Who is signed in; `undefined` when nobody is, and then the answer leads to the sign-in page and back to this one.
   * @param returnTo a page below the section, where it is not the section's own
   */
  signedIn(ctx: Context, section: Section, returnTo?: string): Promise<OwnSession | undefined>;
  /** As `signedIn`; who signed in too long ago is asked to do it again, and comes back. What was posted is lost then. */
  recently(ctx: Context, section: Section): Promise<OwnSession | undefined>;
  /** What every page of the account shows. */
  page(ctx: Context, section: Section, session: OwnSession): AccountPage;
  /** Leads to a page that says what was done. */
  done(ctx: Context, section: Section, what: Done): void;
  report(ctx: Context, session: OwnSession, event: AccountEvent): void;
  /** From where a change was made, for the mail about it. */
  origin(ctx: Context): Origin;
}

/** @param now milliseconds since the epoch */
export function createFrame(options: FrameOptions, now: () => number = Date.now): Frame {
  const { render, verifyForm, ownSession } = options;

  async function signedIn(ctx: Context, section: Section, returnTo: string = SECTIONS[section]): Promise<OwnSession | undefined> {
    const session = await ownSession(ctx);
    if (session === undefined) seeOther(ctx, `/sign-in?return_to=${returnTo}`);
    return session;
  }

  return {
    render,
    verifyForm,
    signedIn,
    async recently(ctx, section) {
      const session = await signedIn(ctx, section);
      if (session === undefined || session.signedInAt > now() / 1000 - options.recentSignIn) return session;
      seeOther(ctx, `/sign-in?fresh=1&return_to=${SECTIONS[section]}`);
      return undefined;
    },
    page(ctx, section, { account }) {
      const done = DONE.find((each) => each === ctx.query.done);
      return {
        person: { email: account.email, name: account.name },
        sections: (Object.keys(SECTIONS) as Section[]).map((each) => ({
          ...sectionLink(each),
          current: each === section,
        })),
        notice: done && text(`account:done.${done}`),
        zone: timeZoneOf(account),
      };
    },
    done: (ctx, section, what) => seeOther(ctx, `${SECTIONS[section]}?done=${what}`),
    report: (ctx, { account }, event) => options.onEvent(ctx, account.id, event),
    origin: (ctx) => ({ address: ctx.state.client.address, language: languageOf(ctx) }),
  };
}

export function seeOther(ctx: Context, location: string): void {
  ctx.redirect(location);
  ctx.status = 303;
}
