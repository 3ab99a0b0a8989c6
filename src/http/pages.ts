/**
 * What each page needs to know. The words are in the templates; these are the facts that they are about.
 * All URLs are either absolute or paths of this server.
 */
import type { Context } from "koa";
import type { Text, Words } from "../i18n/messages.ts";
import type { ApiPageModels } from "./api-page-models.ts";
import type { AppCareModels } from "./app-care-models.ts";
import type { AppPageModels } from "./app-page-models.ts";
import type { ClientView, FormErrors, FormView, PersonView, ScopeGroup } from "./page-parts.ts";

/** What every page below `/account` knows. */
export interface AccountPage {
  person: PersonView;
  /** The pages of the account that there are here, the one that is shown among them. */
  sections: readonly { path: string; label: Text; current: boolean }[];
  /** What was done on the page before. */
  notice?: Text | undefined;
  /** Their time zone; without one times are in UTC. */
  zone?: string | undefined;
}

/** An authenticator app that is being set up. */
export interface AuthenticatorView {
  /** A data URI. */
  qrCode: string;
  /** Base32, in groups, for typing. */
  secret: string;
  /** `otpauth:`, for an app on the same device. */
  uri: string;
}

/** What every second step of a sign-in offers beside itself. */
export interface SecondStep {
  client?: ClientView | undefined;
  /** Where a post gives up and goes back to the application. */
  cancel: string;
  /** Where somebody else signs in. */
  another: string;
}

/** An account elsewhere with which a person signs in. */
export interface LinkedProvider {
  issuer: string;
  subject: string;
  /** Of the provider. */
  name: string;
  /** What it is called there: an address or a name; may be empty. */
  label: string;
  since: Date;
  lastUsed?: Date | undefined;
}

/** An application that a person has allowed something. */
/** A browser that a person is signed in with. */
export interface SessionView {
  id: string;
  /** What the browser says of itself. */
  device: { browser?: string | undefined; system?: string | undefined };
  /** The network address that it was last used from. */
  address?: string | undefined;
  /** Where that address is, about. */
  place?: Words | undefined;
  signedInAt: Date;
  lastUsedAt?: Date | undefined;
  /** It stays signed in when the browser closes. */
  kept: boolean;
  /** Names of the applications that were opened through it. */
  applications: readonly string[];
}

export interface ConnectedApplication {
  clientId: string;
  name: string;
  since: Date;
  /** To the hour. */
  lastUsedAt?: Date | undefined;
  groups: readonly ScopeGroup[];
}

/** Something that happened to an account. */
export interface SecurityEventView {
  at: Date;
  what: Text;
  /** With what somebody signed in; empty for everything else. */
  by: readonly Words[];
  /** What it was about: an application. */
  client?: string | undefined;
  /** Network address. */
  address?: string | undefined;
  /** Where that address is, about. */
  place?: Words | undefined;
  /** It was tried and refused. */
  failed: boolean;
}

/** A passkey of the person who is signed in. */
export interface PasskeyView {
  id: string;
  name: string;
  createdAt: Date;
  lastUsedAt?: Date | undefined;
  /** Kept by a provider that copies it to other devices. */
  synced: boolean;
  /** It was made for the host name that the issuer has today. */
  works: boolean;
}

/** Where the options for a passkey are asked for, and where what the browser says is posted to. */
export interface PasskeyRequest {
  options: string;
  action: string;
}

export interface PageModels extends AppPageModels, AppCareModels, ApiPageModels {
  home: {
    signIn: string;
    signUp?: string | undefined;
    account?: string | undefined;
    /** The developers' portal, for those to whom it is of use. */
    apps?: string | undefined;
    metadata: string;
    jwks: string;
    inspector: string;
    documentation?: string | undefined;
  };
  login: FormView & {
    client?: ClientView | undefined;
    /** Filled in: from `login_hint`, or what was typed before. */
    email?: string | undefined;
    /** Whether "keep me signed in" was chosen. */
    keep?: boolean | undefined;
    /** None where there can be no passkeys. */
    passkey?: PasskeyRequest | undefined;
    /** Other providers at which the person may sign in; each is a button of the form that posts it to another action. */
    providers?: readonly { name: string; action: string }[] | undefined;
    signUp?: string | undefined;
    resetPassword?: string | undefined;
    /** Where a post gives up and goes back to the application; the forgery token is added. */
    cancel?: string | undefined;
    /** Good news from the step before, such as a verified address. */
    notice?: Text | undefined;
  };
  "sign-up": FormView & {
    client?: ClientView | undefined;
    email?: string | undefined;
    name?: string | undefined;
    minimumPasswordLength: number;
    signIn: string;
  };
  "check-your-mail": {
    email: string;
    /** Why there is mail: to verify a new address, or to choose a new password. */
    purpose: "verify" | "reset";
    /** Loopback issuer without SMTP: the directory in which the mail lies. */
    outbox?: string | undefined;
    signIn?: string | undefined;
  };
  /** The second step of a sign-in. `asks`: for which code there is a field; none where only a passkey will do. */
  "second-factor": FormView &
    SecondStep & {
      person: PersonView;
      asks?: "app" | "recovery" | undefined;
      passkey?: PasskeyRequest | undefined;
      /** Where a recovery code is asked for instead. */
      recovery?: string | undefined;
      /** From there back to the usual second factor. */
      back?: string | undefined;
    };
  /** A second factor is demanded, and there is none. `byRole`: by a role of the person, whatever the application asks for. */
  "second-factor-set-up": FormView & SecondStep & { person: PersonView; byRole: boolean; authenticator: AuthenticatorView };
  /** A passkey is demanded, and there is none. */
  "second-factor-missing": SecondStep;
  /** Shown once; `next` is where the sign-in goes on. */
  "recovery-codes": { codes: readonly string[]; next: string };
  /** `left`: how many codes there still are. */
  "recovery-code-used": { left: number; next: string };
  /** With `newPassword` the password (and name) of the account are chosen here. */
  "verify-email": FormView & { email: string; name?: string | undefined; newPassword?: { minimumLength: number } | undefined };
  /** `next` is where "Continue" leads; `beganElsewhere` when the sign-in that waits for the person does so in another browser. */
  "email-verified": { email: string; next: string; beganElsewhere: boolean };
  "reset-password": FormView & { email?: string | undefined; signIn: string };
  "new-password": FormView & { email: string; minimumLength: number };
  /** After a reset. */
  "password-set": { email: string; signIn: string };
  bootstrap: FormView & { email?: string | undefined; name?: string | undefined; minimumPasswordLength: number };
  "bootstrap-done": { email: string; signIn: string };
  consent: FormView & {
    client: ClientView;
    person: PersonView;
    /** Where a post ends the session and asks for another account; the forgery token is added. */
    switchAccount?: string | undefined;
    groups: readonly ScopeGroup[];
    /** The application may go on while the person is away. */
    offline: boolean;
    /** The host to which the person goes next; undefined for a device, which goes on by itself. */
    returnsTo?: string | undefined;
    /** Where what was allowed can be taken back. */
    manage: string;
  };
  "device-input": FormView & { userCode?: string | undefined };
  "device-confirm": FormView & {
    client: ClientView;
    /** As the device shows it. */
    userCode: string;
    person?: PersonView | undefined;
  };
  "device-done": { outcome: "approved" | "denied"; client?: ClientView | undefined; account?: string | undefined };
  logout: FormView & { client?: ClientView | undefined; person?: PersonView | undefined };
  /** With `account` the browser is signed in still, and was signed out of the client alone. */
  "signed-out": { signIn: string; account?: string | undefined; client?: ClientView | undefined };
  /** What the browser sends on by itself: to the application, or to the next step here. */
  "passing-on": { action: string; fields: Readonly<Record<string, string>>; toClient: boolean; client?: ClientView | undefined };
  error: {
    heading: Text;
    message: Text;
    advice: Text;
    reference: string;
    client?: ClientView | undefined;
    /** Where the application's owners read what was refused to it. */
    failures?: string | undefined;
    /** What the protocol says of it, for the application's developer: always in English. */
    said?: string | undefined;
    /** An error code of the protocol, for the application's developer. */
    code?: string | undefined;
  };
  /** `keys`: all signing keys, revoked ones too; `jwks`: the path of those that are published. */
  inspector: { jwks: string; keys: readonly { kid: string; alg: string; state: string }[] };
  "account/overview": AccountPage & {
    emailVerified: boolean;
    roles: readonly string[];
    since: Date;
    /** What protects the account; `passwordChanged` is absent without a password. */
    protection: { passwordChanged?: Date | undefined; twoStep: boolean; passkeys: number };
    /** What would make it safer, and where to do it. */
    advice: readonly { what: Text; path: string; label: Text }[];
    /** The developers' portal, for those to whom it is of use. */
    apps?: string | undefined;
    signOut: string;
  };
  /** `profile`: what is in the fields, by their names. */
  "account/profile": AccountPage &
    FormView & {
      profile: Readonly<Record<string, string>>;
      zones: readonly string[];
      languages: readonly { value: string; label: string }[];
    };
  /** `typed`: what was typed before; `sentTo`: where a link was sent to just now; `outbox` as in check-your-mail. */
  "account/email": AccountPage & FormView & { typed?: string | undefined; sentTo?: string | undefined; outbox?: string | undefined };
  "account/email-confirm": AccountPage & FormView & { newEmail: string };
  "account/password": AccountPage & FormView & { hasPassword: boolean; minimumLength: number };
  /** Newest first; `newest` and `older` are where to find the others. */
  "account/events": AccountPage & {
    events: readonly SecurityEventView[];
    days: number;
    newest?: string | undefined;
    older?: string | undefined;
  };
  "account/data": AccountPage & FormView;
  /** `days`: for how long it can be undone; 0 for not at all. */
  "account/delete": AccountPage & FormView & { days: number; applications: readonly string[]; typed?: string | undefined };
  /** After a deletion was asked for; without `deleteAt` it is done. */
  "account-deleted": { email: string; deleteAt?: Date | undefined; signIn: string };
  /** Whoever signs in to an account that is going to be deleted calls it off, or leaves it so. */
  "deletion-pending": FormView & { email: string; deleteAt: Date };
  /** The form takes back what was allowed to an application, named by `client_id`. */
  /** `few`: there are so few recovery codes left that new ones are a good idea. */
  "account/two-step": AccountPage & {
    totp: boolean;
    passkeys: number;
    recoveryCodes: number;
    few: boolean;
    errors?: FormErrors | undefined;
    setUp: string;
    remove: string;
    renew: string;
    /** Where passkeys are looked after. */
    passkeysPage: string;
    /** Where a longer password is chosen, which has to be done first. */
    choosePassword?: string | undefined;
  };
  "account/two-step-set-up": AccountPage &
    FormView & { authenticator: AuthenticatorView; replaces: boolean; signsOut: boolean; back: string };
  /** Shown once. */
  "account/recovery-codes": AccountPage & { codes: readonly string[]; back: string };
  /** The forms are below `action`: one disconnects, by `issuer` and `subject`, the other connects, by `provider`. */
  "account/providers": AccountPage & FormView & { linked: readonly LinkedProvider[]; offered: readonly { id: string; name: string }[] };
  "account/passkeys": AccountPage &
    FormView & {
      /** None where there can be no passkeys. */
      passkey?: PasskeyRequest | undefined;
      /** The first one signs out everybody else. */
      signsOut?: boolean | undefined;
      passkeys: readonly PasskeyView[];
      /** Characters. */
      longestName: number;
      /** Where recovery codes are made, for whoever has none. */
      recoveryCodes?: string | undefined;
      /** Where a longer password is chosen, which has to be done first. */
      choosePassword?: string | undefined;
    };
  /** The one at hand first. The form at `action` ends one, named by `session`. */
  "account/sessions": AccountPage &
    FormView & { endOthers: string; signOut: string; sessions: readonly (SessionView & { current: boolean })[] };
  "account/applications": AccountPage & FormView & { applications: readonly ConnectedApplication[] };
}

export type View = keyof PageModels;

/** Answers with a page. The status is the caller's to set; 200 without. */
export type Render = <V extends View>(ctx: Context, view: V, model: PageModels[V]) => void;
