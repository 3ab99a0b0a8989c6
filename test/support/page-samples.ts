/** Every page in the states that it can be in, for tests that look at them all. */
import type { ClientView, PageModels, View } from "../../src/http/pages.ts";
import { text } from "../../src/i18n/messages.ts";

type Sample = { [V in View]: { view: V; model: PageModels[V] } }[View];

const client: ClientView = {
  name: "Sunny Photo Prints",
  clientUri: "https://sunny-prints.example/about",
  verified: false,
  policyUri: "https://sunny-prints.example/privacy",
  tosUri: "https://sunny-prints.example/terms",
};
const verified: ClientView = {
  name: "Harbour Mail",
  clientUri: "https://mail.harbour.example",
  verified: true,
  logoUri: "https://logo.invalid/logo.png",
};
const long: ClientView = {
  name: "Vereinigte Donaudampfschifffahrtsgesellschaftskapitänsmützenfabrik",
  clientUri: "https://a-very-long-host-name.subdomain.of-a-company.example",
  verified: false,
};
const person = { email: "ada@example.org", name: "Ada Lovelace" };
const EMPTY_PROFILE = Object.fromEntries(["name", ...PROFILE_CLAIMS].map((field) => [field, ""]));
const accountPage = {
  person,
  sections: [
    { path: "/account", label: "Overview", current: false },
    { path: "/account/profile", label: "Profile", current: true },
    { path: "/account/applications", label: "Connected applications", current: false },
  ],
};
const own = {
  openid: [
    { scope: "openid", description: "know who you are (an identifier, not your password)" },
    { scope: "email", description: "see your e-mail address" },
  ],
};

const photos = {
  resource: { name: "Photo library", audience: "https://photos.harbour.example/api" },
  scopes: [
    { scope: "photos:read", description: "look at your photos and albums" },
    { scope: "photos:write", description: "add and delete photos" },
  ],
};

export const samples: Record<string, Sample> = {
  home: {
    view: "home",
    model: {
      signIn: "/sign-in",
      signUp: "/sign-up",
      metadata: "/.well-known/openid-configuration",
      jwks: "/.well-known/jwks.json",
      inspector: "/apps/inspector",
      documentation: "https://docs.example/",
    },
  },
  "home-signed-in": {
    view: "home",
    model: {
      signIn: "/sign-in",
      account: "/account",
      metadata: "/.well-known/openid-configuration",
      jwks: "/.well-known/jwks.json",
      inspector: "/apps/inspector",
    },
  },
  inspector: { view: "inspector", model: { jwks: "/.well-known/jwks.json", keys: [{ kid: "a-key", alg: "RS256", state: "current" }] } },
  login: {
    view: "login",
    model: { action: "/interaction/x/login", client, signUp: "/sign-up", resetPassword: "/reset-password", cancel: "/interaction/x/abort" },
  },
  "login-plain": { view: "login", model: { action: "/login", notice: "Your address is confirmed. You can sign in now." } },
  "login-wrong": {
    view: "login",
    model: {
      action: "/login",
      client,
      email: "ada@example.org",
      errors: { form: "The e-mail address or the password is wrong." },
      signUp: "/sign-up",
    },
  },
  "sign-up": { view: "sign-up", model: { action: "/sign-up", minimumPasswordLength: 15, signIn: "/sign-in", client } },
  "sign-up-wrong": {
    view: "sign-up",
    model: {
      action: "/sign-up",
      minimumPasswordLength: 15,
      signIn: "/sign-in",
      email: "ada@",
      name: "Ada",
      errors: { fields: { email: "This is not an e-mail address.", password: "The password has 7 characters; it needs at least 15." } },
    },
  },
  "reset-password": { view: "reset-password", model: { action: "/reset-password", signIn: "/sign-in" } },
  "reset-password-wrong": {
    view: "reset-password",
    model: { action: "/reset-password", signIn: "/sign-in", email: "ada@", errors: { fields: { email: text("faults:email_malformed") } } },
  },
  "new-password": { view: "new-password", model: { action: "/reset-password/choose", email: "ada@example.org", minimumLength: 15 } },
  "new-password-wrong": {
    view: "new-password",
    model: {
      action: "/reset-password/choose",
      email: "ada@example.org",
      minimumLength: 15,
      errors: {
        fields: {
          password: text("passwords:weak", { why: text("passwords:why.extendedRepeat"), first: text("passwords:advice.repeated") }),
        },
      },
    },
  },
  "password-set": { view: "password-set", model: { email: "ada@example.org", signIn: "/sign-in" } },
  "check-your-mail": {
    view: "check-your-mail",
    model: { email: "ada@example.org", purpose: "verify", outbox: "data/outbox", signIn: "/sign-in" },
  },
  "check-your-mail-reset": { view: "check-your-mail", model: { email: "ada@example.org", purpose: "reset" } },
  "verify-email": { view: "verify-email", model: { action: "/verify-email", hidden: { token: "t" }, email: "ada@example.org" } },
  "verify-email-elsewhere": {
    view: "verify-email",
    model: { action: "/verify-email", hidden: { token: "t" }, email: "ada@example.org", newPassword: { minimumLength: 15 } },
  },
  "email-verified": { view: "email-verified", model: { email: "ada@example.org", next: "/account", beganElsewhere: true } },
  bootstrap: { view: "bootstrap", model: { action: "/bootstrap", hidden: { token: "t" }, minimumPasswordLength: 15 } },
  consent: {
    view: "consent",
    model: {
      action: "/interaction/x/consent",
      client,
      person,
      switchAccount: "/interaction/x/switch",
      groups: [{ scopes: own.openid }, photos],
      offline: true,
      returnsTo: "sunny-prints.example",
      manage: "/account",
    },
  },
  "consent-verified": {
    view: "consent",
    model: {
      action: "/interaction/x/consent",
      client: verified,
      person: { email: "a.very.long.address.of.somebody@department.university.example" },
      groups: [{ scopes: own.openid }],
      offline: false,
      returnsTo: "mail.harbour.example",
      manage: "/account",
    },
  },
  "consent-long": {
    view: "consent",
    model: {
      action: "/x",
      client: long,
      person,
      groups: [{ scopes: own.openid }],
      offline: false,
      returnsTo: "a-very-long-host-name.subdomain.of-a-company.example",
      manage: "/account",
    },
  },
  "consent-device": {
    view: "consent",
    model: { action: "/x", client, person, groups: [{ scopes: own.openid }], offline: false, manage: "/account" },
  },
  "device-input": { view: "device-input", model: { action: "/device", hidden: { xsrf: "x" } } },
  "device-input-wrong": {
    view: "device-input",
    model: {
      action: "/device",
      hidden: { xsrf: "x" },
      userCode: "BCDF-GHJK",
      errors: { fields: { user_code: "No device waits for this code. Check it, or start again on the device." } },
    },
  },
  "device-confirm": {
    view: "device-confirm",
    model: { action: "/device", hidden: { xsrf: "x", user_code: "BCDF-GHJK" }, client, userCode: "BCDF-GHJK", person },
  },
  "device-done": { view: "device-done", model: { outcome: "approved", client, account: "/account" } },
  "device-denied": { view: "device-done", model: { outcome: "denied" } },
  logout: { view: "logout", model: { action: "/oauth/logout/confirm", hidden: { xsrf: "x" }, client, person } },
  "signed-out": { view: "signed-out", model: { signIn: "/sign-in", client } },
  "still-signed-in": { view: "signed-out", model: { signIn: "/sign-in", account: "/account", client } },
  error: {
    view: "error",
    model: {
      heading: "This form is out of date",
      message: "The page was open for too long, or this browser has lost its cookies for this site.",
      advice: "Go back, reload the page and send the form again. Nothing was changed.",
      reference: "9f86d081884c7d65",
      client,
      code: "invalid_request",
    },
  },
  account: {
    view: "account/overview",
    model: {
      ...accountPage,
      notice: "Your password is changed.",
      emailVerified: true,
      roles: ["admin", "auditor"],
      since: new Date("2025-03-01"),
      protection: { passwordChanged: new Date("2026-02-03"), twoStep: false, passkeys: 2 },
      advice: [{ what: text("account:advice.second_factor"), path: "/account/passkeys", label: "Passkeys" }],
      signOut: "/sign-out",
    },
  },
  "account-profile": {
    view: "account/profile",
    model: {
      ...accountPage,
      action: "/account/profile",
      profile: { ...EMPTY_PROFILE, name: "Ada Lovelace", picture: "ftp://x", locale: "de" },
      zones: ["Africa/Abidjan", "America/Argentina/ComodRivadavia"],
      languages: [{ value: "de", label: "Deutsch" }],
      errors: { fields: { picture: text("profile:faults.picture"), zoneinfo: text("profile:faults.zoneinfo") } },
    },
  },
  "account-email": { view: "account/email", model: { ...accountPage, action: "/account/email" } },
  "account-email-sent": {
    view: "account/email",
    model: { ...accountPage, action: "/account/email", sentTo: "ada@new.example", outbox: "/var/lib/grantor/outbox" },
  },
  "account-email-wrong": {
    view: "account/email",
    model: { ...accountPage, action: "/account/email", typed: "ada", errors: { fields: { email: text("profile:email.same") } } },
  },
  "account-email-confirm": {
    view: "account/email-confirm",
    model: { ...accountPage, action: "/account/email/confirm", newEmail: "a.very.long.address.of.somebody@department.university.example" },
  },
  "account-password": {
    view: "account/password",
    model: {
      ...accountPage,
      action: "/account/password",
      hasPassword: true,
      minimumLength: 15,
      errors: { fields: { current: text("profile:password.wrong") } },
    },
  },
  "account-password-first": {
    view: "account/password",
    model: { ...accountPage, action: "/account/password", hasPassword: false, minimumLength: 8 },
  },
  "account-events": {
    view: "account/events",
    model: {
      ...accountPage,
      days: 90,
      events: [
        { at: new Date("2026-03-01T12:00Z"), what: text("events:refused.sign_in"), address: "2001:db8::1", failed: true },
        { at: new Date("2026-02-01T12:00Z"), what: text("events:kinds.consent"), client: long.name, address: "192.0.2.1", failed: false },
        { at: new Date("2026-01-01T12:00Z"), what: text("events:kinds.account_updated"), failed: false },
      ],
      newest: "/account/events",
      older: "/account/events?before=1.1",
    },
  },
  "account-no-events": { view: "account/events", model: { ...accountPage, days: 90, events: [] } },
  "account-data": { view: "account/data", model: { ...accountPage, action: "/account/data" } },
  "account-delete": {
    view: "account/delete",
    model: {
      ...accountPage,
      action: "/account/delete",
      days: 14,
      typed: "adda@example.org",
      errors: { fields: { email: text("deletion:type_address", { email: person.email }) } },
    },
  },
  "account-delete-at-once": { view: "account/delete", model: { ...accountPage, action: "/account/delete", days: 0 } },
  "account-deleted": { view: "account-deleted", model: { email: person.email, deleteAt: new Date("2026-04-01"), signIn: "/sign-in" } },
  "account-gone": { view: "account-deleted", model: { email: person.email, signIn: "/sign-in" } },
  "deletion-pending": {
    view: "deletion-pending",
    model: { action: "/interaction/x/deletion", email: person.email, deleteAt: new Date("2026-04-01") },
  },
  "account-applications": { view: "account/applications", model: { ...accountPage, action: "/account", applications: [] } },
  "account-connected": {
    view: "account/applications",
    model: {
      ...accountPage,
      notice: "The application's access was taken back.",
      action: "/account",
      applications: [
        { clientId: "a", name: client.name, since: new Date("2026-03-01"), groups: [{ scopes: own.openid }, photos] },
        { clientId: "b", name: long.name, since: new Date("2026-04-01"), groups: [{ scopes: own.openid }] },
      ],
    },
  },
};
