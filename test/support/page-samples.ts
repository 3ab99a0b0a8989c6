/** Every page in the states that it can be in, for tests that look at them all. */
import type { ClientView } from "../../src/http/page-parts.ts";
import { text } from "../../src/i18n/messages.ts";
import { accountPage, accountSamples } from "./account-page-samples.ts";
import { apiSamples } from "./api-page-samples.ts";
import { appCareSamples } from "./app-care-samples.ts";
import { appSamples } from "./app-page-samples.ts";
import type { Sample } from "./page-sample.ts";
import { quickStartSamples } from "./quick-start-samples.ts";
import { secondFactorSamples } from "./second-factor-samples.ts";

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
  logo: "/assets/icon.svg",
  color: "#0b6e4f",
};
const long: ClientView = {
  name: "Vereinigte Donaudampfschifffahrtsgesellschaftskapitänsmützenfabrik",
  clientUri: "https://a-very-long-host-name.subdomain.of-a-company.example",
  verified: false,
  color: "#ffe600", // as hard to read as a colour can be
};
const person = { email: "ada@example.org", name: "Ada Lovelace" };
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
      apps: "/apps",
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
  "login-branded": { view: "login", model: { action: "/interaction/x", client: verified } },
  "login-plain": { view: "login", model: { action: "/login", notice: text("verification:confirmed.title") } },
  "login-wrong": {
    view: "login",
    model: {
      action: "/login",
      client,
      email: "ada@example.org",
      errors: { form: text("sign-in:refused") },
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
      errors: { fields: { email: text("faults:email_malformed"), password: text("faults:password_short", { count: 15 }) } },
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
  "bootstrap-done": { view: "bootstrap-done", model: { email: "root@example.com", signIn: "/sign-in" } },
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
      errors: { fields: { user_code: text("device:input.code_unknown") } },
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
  "passing-on": {
    view: "passing-on",
    model: { action: "https://photos.example/callback", fields: { code: "x", state: "y" }, toClient: true, client },
  },
  error: {
    view: "error",
    model: {
      heading: text("errors:protocol.title"),
      message: text("refusals:missing", { names: "redirect_uri" }),
      said: "missing required parameter 'redirect_uri'",
      advice: text("errors:protocol.advice"),
      reference: "9f86d081884c7d65",
      client,
      failures: "/apps/xyz/failures",
      code: "invalid_request",
    },
  },
  ...apiSamples,
  ...accountSamples,
  ...appSamples,
  ...appCareSamples,
  ...quickStartSamples,
  ...secondFactorSamples,
  "account-providers": {
    view: "account/providers",
    model: {
      ...accountPage,
      action: "/account/providers",
      errors: { form: text("federation:problems.linked_elsewhere", { provider: "GitHub" }) },
      linked: [
        {
          issuer: "https://id.acme.example",
          subject: "1",
          name: "Acme",
          label: "a.very.long.address.of.somebody@department.university.example",
          since: new Date("2026-03-01"),
          lastUsed: new Date("2026-11-01"),
        },
        { issuer: "https://old.example", subject: "2", name: "old.example", label: "", since: new Date("2026-04-01") },
      ],
      offered: [
        { id: "github", name: "GitHub" },
        { id: "university", name: long.name },
      ],
    },
  },
  "account-no-providers": { view: "account/providers", model: { ...accountPage, action: "/account/providers", linked: [], offered: [] } },
  "login-passkey-refused": {
    view: "login",
    model: {
      action: "/login",
      client,
      passkey: { options: "/interaction/x/passkey/options", action: "/post" },
      errors: { form: text("passkeys:refused.sign_in") },
    },
  },
  "account-sessions": {
    view: "account/sessions",
    model: {
      ...accountPage,
      action: "/post",
      endOthers: "/post",
      signOut: "/sign-out",
      sessions: [
        {
          id: "a",
          current: true,
          device: { browser: "Firefox", system: "Linux" },
          address: "203.0.113.7",
          place: text("sessions:place", { city: "Sankt Martin am Tennengebirge", country: "Österreich" }),
          signedInAt: new Date("2026-03-01T09:00:00Z"),
          lastUsedAt: new Date("2026-03-04T10:20:00Z"),
          kept: true,
          applications: [client.name, long.name],
        },
        {
          id: "b",
          current: false,
          device: { browser: "Safari", system: "iPhone" },
          address: "2001:db8:85a3:8d3:1319:8a2e:370:7348",
          signedInAt: new Date("2026-02-01T09:00:00Z"),
          lastUsedAt: new Date("2026-03-02T10:20:00Z"),
          kept: false,
          applications: [],
        },
        { id: "c", current: false, device: {}, signedInAt: new Date("2026-02-01T09:00:00Z"), kept: false, applications: [] },
      ],
    },
  },
  "account-applications": { view: "account/applications", model: { ...accountPage, action: "/account", applications: [] } },
  "account-connected": {
    view: "account/applications",
    model: {
      ...accountPage,
      notice: text("account:done.application_removed"),
      action: "/account",
      applications: [
        {
          clientId: "a",
          name: client.name,
          since: new Date("2026-03-01"),
          lastUsedAt: new Date("2026-03-04"),
          groups: [{ scopes: own.openid }, photos],
        },
        { clientId: "b", name: long.name, since: new Date("2026-04-01"), groups: [{ scopes: own.openid }] },
      ],
    },
  },
};
