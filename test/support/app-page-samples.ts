/** The pages of the developers' portal in the states that they can be in. */
import { checkedLists } from "../../src/app-pages/fault-words.ts";
import { CLIENT_TYPES } from "../../src/clients/client-metadata.ts";
import type { AppPage, ScopeChoice } from "../../src/http/app-page-models.ts";
import { text } from "../../src/i18n/messages.ts";
import type { Sample } from "./page-sample.ts";

const CLIENT_ID = "VB2Wj0eVTlJmUHnVJ7uLMw";
const LONG_NAME = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft für Geräte";
export const appPath = `/apps/${CLIENT_ID}`;
const person = { email: "ada@example.org", name: "Ada Lovelace" };

/** What every page of an application has. */
export const appPage: AppPage = {
  person,
  app: { clientId: CLIENT_ID, name: "Notes", kind: text("apps:kinds.web.name"), path: appPath, verified: true, suspended: false },
  sections: [
    { path: appPath, label: text("apps:sections.overview"), current: false },
    { path: `${appPath}/quick-starts`, label: text("apps:sections.quick_starts"), current: false },
    { path: `${appPath}/addresses`, label: text("apps:sections.addresses"), current: true },
    { path: `${appPath}/delete`, label: text("apps:sections.delete"), current: false },
  ],
};
const suspended: AppPage = { ...appPage, app: { ...appPage.app, name: LONG_NAME, verified: false, suspended: true } };
const [web, broken] = [
  { redirect_uris: "http://localhost:4000/callback", post_logout_redirect_uris: "", client_name: "Notes" },
  { redirect_uris: `http://app.example/cb\nhttps://app.example/${"long/".repeat(30)}*`, post_logout_redirect_uris: "/bye" },
];
const choices: ScopeChoice[] = [
  {
    scopes: [
      { field: "scope:openid", scope: "openid", description: text("scopes:openid"), chosen: true },
      { field: "scope:email", scope: "email", description: text("scopes:email"), chosen: false },
    ],
  },
  {
    resource: { name: "Photos", audience: "https://photos.example" },
    scopes: [{ field: "scope:photos:read", scope: "photos:read", description: "See your photos", chosen: true }],
  },
  { other: true, scopes: [{ field: "scope:old", scope: "old", description: "old", chosen: true }] },
];
const form = { action: appPath };
const look = { client_name: "Notes", client_uri: "https://notes.example", logo_uri: "", policy_uri: "", tos_uri: "", contacts: "" };

export const appSamples: Record<string, Sample> = {
  apps: { view: "apps/list", model: { person, apps: [], create: "/apps/new", inspector: "/apps/inspector" } },
  "apps-some": {
    view: "apps/list",
    model: {
      person,
      apps: [appPage.app, suspended.app],
      create: "/apps/new",
      older: "/apps?after=x",
      inspector: "/apps/inspector",
      notice: text("apps:done.saved"),
    },
  },
  "apps-not-yours": {
    view: "apps/list",
    model: { person, apps: [], mayNot: text("apps:may_not.not_a_developer"), inspector: "/apps/inspector" },
  },
  "apps-new": { view: "apps/new", model: { person, kinds: CLIENT_TYPES } },
  ...Object.fromEntries(
    (["web", "service"] as const).map((kind): [string, Sample] => [
      `apps-new-${kind}`,
      {
        view: "apps/new-app",
        model: {
          person,
          kind,
          action: `/apps/new/${kind}`,
          hidden: { application: "sealed" },
          hasAddresses: kind === "web",
          uriKind: "redirect_web",
          typed: web,
          lines: checkedLists(web, "redirect_web"),
          scopes: kind === "service" ? choices : undefined,
        },
      },
    ]),
  ),
  "apps-new-wrong": {
    view: "apps/new-app",
    model: {
      person,
      kind: "web",
      action: "/apps/new/web",
      hasAddresses: true,
      uriKind: "redirect_web",
      typed: broken,
      lines: checkedLists(broken, "redirect_web"),
      errors: { fields: { client_name: text("apps:faults.client_name"), redirect_uris: text("apps:faults.uri_list") } },
    },
  },
  "apps-new-no-api": {
    view: "apps/new-app",
    model: {
      person,
      kind: "service",
      action: "/apps/new/service",
      hasAddresses: false,
      uriKind: "redirect_web",
      typed: {},
      lines: {},
      scopes: [],
      errors: { fields: { scope: text("apps:faults.not_offered") }, form: text("apps:faults.form") },
    },
  },
  "apps-created": {
    view: "apps/created",
    model: {
      person,
      app: suspended.app,
      issuer: "https://id.example.com",
      hasSecret: true,
      secret: "pM0sA7rD8HD0gW3Cn1dJk5yXx8cVw2nq4bLwKZr6Q9E",
      quickStarts: appPath,
      tryIt: appPath,
      newSecret: appPath,
    },
  },
  "apps-created-again": {
    view: "apps/created",
    model: {
      person,
      app: appPage.app,
      issuer: "https://id.example.com",
      hasSecret: true,
      quickStarts: appPath,
      tryIt: appPath,
      newSecret: appPath,
    },
  },
  "apps-created-no-secret": {
    view: "apps/created",
    model: {
      person,
      app: appPage.app,
      issuer: "https://id.example.com",
      hasSecret: false,
      quickStarts: appPath,
      tryIt: appPath,
      newSecret: appPath,
    },
  },
  "app-overview": {
    view: "apps/overview",
    model: {
      ...appPage,
      sections: appPage.sections.map((section, index) => ({ ...section, current: index === 0 })),
      owners: ["ada@example.org", "grace@example.org"],
      since: new Date("2026-03-01"),
      asksPeople: true,
      issuer: "https://id.example",
    },
  },
  "app-suspended": {
    view: "apps/overview",
    model: { ...suspended, owners: ["ada@example.org"], since: new Date("2026-03-01"), asksPeople: true, issuer: "https://id.example" },
  },
  "app-addresses": {
    view: "apps/addresses",
    model: {
      ...appPage,
      ...form,
      typed: { ...web, backchannel_logout_uri: "" },
      uriKind: "redirect_web",
      lines: checkedLists(web, "redirect_web"),
      notice: text("apps:done.saved_unverified"),
    },
  },
  "app-addresses-wrong": {
    view: "apps/addresses",
    model: {
      ...appPage,
      ...form,
      typed: { ...broken, backchannel_logout_uri: "ftp://x" },
      uriKind: "redirect_native",
      lines: checkedLists(broken, "redirect_native"),
      errors: { fields: { redirect_uris: text("apps:faults.uri_list"), backchannel_logout_uri: text("apps:uris.not_web") } },
    },
  },
  "app-look": { view: "apps/look", model: { ...appPage, ...form, typed: look, asksPeople: true } },
  "app-look-wrong": {
    view: "apps/look",
    model: {
      ...appPage,
      ...form,
      typed: { ...look, contacts: "nobody" },
      asksPeople: false,
      errors: { fields: { contacts: text("apps:faults.contacts") }, form: text("apps:faults.vouched_for") },
    },
  },
  "app-scopes": { view: "apps/scopes", model: { ...appPage, ...form, typed: {}, choices, asksPeople: true } },
  "app-keys": {
    view: "apps/keys",
    model: {
      ...appPage,
      ...form,
      typed: { token_endpoint_auth_method: "private_key_jwt", jwks: '{\n  "keys": []\n}', jwks_uri: "" },
      methods: [
        { value: "client_secret_basic", label: text("apps:keys.methods.client_secret_basic") },
        { value: "private_key_jwt", label: text("apps:keys.methods.private_key_jwt") },
      ],
      errors: { fields: { jwks: text("apps:faults.private_key") } },
    },
  },
  "app-lifetimes": {
    view: "apps/lifetimes",
    model: {
      ...appPage,
      ...form,
      typed: { access_token_max_ttl: "60", refresh_token_max_ttl: "" },
      access: [
        { value: "", label: text("apps:lifetimes.longest", { duration: text("apps:duration.minutes", { count: 15 }) }) },
        { value: "60", label: text("apps:duration.minutes", { count: 1 }) },
      ],
      refresh: [{ value: "", label: text("apps:lifetimes.longest", { duration: text("apps:duration.days", { count: 30 }) }) }],
    },
  },
  "app-protection": {
    view: "apps/protection",
    model: { ...appPage, ...form, typed: { dpop_bound_access_tokens: "yes" }, pushed: true },
  },
};
