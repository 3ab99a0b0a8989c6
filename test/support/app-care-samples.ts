/** The portal's pages about an application's secret, owners, end, trial runs and failed requests, in the states that they can be in. */
import { explainFailure } from "../../src/app-pages/failure-words.ts";
import type { ClientRecord } from "../../src/clients/client-record.ts";
import { text } from "../../src/i18n/messages.ts";
import type { Sample } from "./page-sample.ts";

const LONG = "Vereinigte Donaudampfschifffahrtsgesellschaftskapitänsmützenfabrik";
const person = { email: "ada@example.org", name: "Ada Lovelace" };
const path = "/apps/qL5m2Zr0c1Vx9Tn4";
const app = { clientId: "qL5m2Zr0c1Vx9Tn4", name: "Notes", kind: text("apps:kinds.web.name"), path, verified: true, suspended: false };
const page = {
  person,
  app,
  sections: [
    { path, label: text("apps:sections.overview"), current: false },
    { path: `${path}/secret`, label: text("apps:sections.secret"), current: true },
    { path: `${path}/owners`, label: text("apps:sections.owners"), current: false },
  ],
};
const suspended = { ...page, app: { ...app, suspended: true, name: LONG } };
const client = {
  metadata: { redirect_uris: ["https://notes.example/callback"], token_endpoint_auth_method: "client_secret_basic" },
} as unknown as ClientRecord;

const secret = {
  ...page,
  action: "/",
  end: `${path}/secret/end`,
  overlaps: ["0", "86400", "604800"],
  since: new Date("2026-03-01T12:00Z"),
};
const owners = {
  ...page,
  action: "/",
  remove: `${path}/owners/remove`,
  withdraw: `${path}/owners/withdraw`,
  owners: [{ id: "ada", email: "ada@example.org", name: "Ada Lovelace", since: new Date("2026-01-01"), you: true }],
  invitations: [],
};
const team = {
  ...owners,
  owners: [
    ...owners.owners,
    { id: "bob", email: `bob.${LONG.slice(0, 40).replace(/\s/g, "")}@example.org`, since: new Date("2026-02-01"), you: false },
  ],
  invitations: [{ id: "one", email: "eve@example.org", until: new Date("2026-03-08") }],
};
const member = (name: string, value: string) => ({ name, value, meaning: text(`try:meanings.${name}`) });
const exchanges = [
  {
    step: "authorize",
    method: "GET",
    url: "https://id.harbour.example/oauth/authorize",
    headers: [],
    params: [
      member("client_id", app.clientId),
      member("scope", "openid profile email"),
      member("state", "x".repeat(200)),
      { name: "x", value: "y" },
    ],
    answer: [],
  },
  {
    step: "token",
    method: "POST",
    url: "https://id.harbour.example/oauth/token",
    headers: [member("Authorization", "Basic …")],
    params: [member("grant_type", "authorization_code"), member("code", "aB3dE6…")],
    status: 200,
    answer: [member("access_token", "eyJhbG…"), member("expires_in", "900")],
  },
];
const trial = { ...page, action: `${path}/try`, exchanges, tokens: [], mayRefresh: false, failures: `${path}/failures` };
const failure = (error: string, detail: Record<string, string>, endpoint: string, count: number) => {
  const { reason: _reason, said, ...sent } = detail;
  return {
    ...explainFailure({ error, detail }, client),
    where: text(`remedies:endpoints.${endpoint}`),
    answer: said === undefined ? error : `${error}: ${said}`,
    count,
    last: new Date("2026-03-01T12:00Z"),
    sent: Object.entries(sent).map(([name, value]) => ({ name, value })),
  };
};

export const appCareSamples: Record<string, Sample> = {
  "app-secret": { view: "apps/secret", model: secret },
  "app-secret-new": {
    view: "apps/secret",
    model: { ...secret, secret: "fV0PsF9hXkq1s3m8bT7yJr2Zc6NwLd5AeG4iUoKxQvE", previousUntil: new Date("2026-03-08T12:00Z") },
  },
  "app-secret-wrong": {
    view: "apps/secret",
    model: { ...secret, since: undefined, errors: { fields: { overlap: text("app-care:secret.choose") } } },
  },
  "app-secret-stale": { view: "apps/secret", model: { ...secret, errors: { form: text("app-care:secret.stale") } } },
  "app-secret-suspended": { view: "apps/secret", model: { ...secret, ...suspended, previousUntil: new Date("2026-03-08T12:00Z") } },
  "app-owners": { view: "apps/owners", model: owners },
  "app-owners-team": { view: "apps/owners", model: { ...team, sentTo: "eve@example.org", outbox: "/var/lib/grantor/outbox" } },
  "app-owners-wrong": {
    view: "apps/owners",
    model: {
      ...team,
      typed: "eve",
      errors: { form: text("app-care:owners.last"), fields: { email: text("app-care:owners.too_many", { count: 20 }) } },
    },
  },
  "app-owners-suspended": { view: "apps/owners", model: { ...team, ...suspended } },
  "app-invitation": { view: "apps/invitation", model: { person, action: "/", name: LONG, by: "bob@example.org" } },
  "app-delete": {
    view: "apps/delete",
    model: { ...page, action: "/", typed: "Note", errors: { fields: { name: text("app-care:delete.type_name", { name: "Notes" }) } } },
  },
  "app-delete-suspended": { view: "apps/delete", model: { ...suspended, action: "/" } },
  "app-try": {
    view: "apps/try",
    model: {
      ...page,
      action: "/",
      kind: "web",
      resources: [{ value: "https://api.example", label: "Photo library" }],
      run: `${path}/try/run`,
    },
  },
  "app-try-service": { view: "apps/try", model: { ...page, action: "/", kind: "service", resources: [] } },
  "app-try-suspended": { view: "apps/try", model: { ...suspended, action: "/", kind: "device", resources: [] } },
  "app-trial": {
    view: "apps/trial",
    model: {
      ...trial,
      phase: "done",
      mayRefresh: true,
      tokens: [
        {
          kind: "access",
          verdict: text("tokens:verdicts.good"),
          claims: [
            { name: "sub", value: "9LnuMd6WijlDo1hPJvw_Zg", meaning: text("tokens:claims.sub") },
            {
              name: "exp",
              value: "1795403509",
              when: text("tokens:when", { moment: "2026-11-23 12:00:00 UTC", distance: "…" }),
              meaning: text("tokens:claims.exp"),
            },
            { name: "x", value: "1" },
          ],
        },
      ],
    },
  },
  "app-trial-failed": {
    view: "apps/trial",
    model: {
      ...trial,
      phase: "failed",
      exchanges: [{ ...exchanges[1], status: 400, answer: [member("error", "invalid_scope")] } as (typeof exchanges)[number]],
      trouble: explainFailure({ error: "invalid_scope", detail: { scope: "photos:read" } }, client),
    },
  },
  "app-trial-ended": { view: "apps/trial", model: { ...trial, phase: "ended" } },
  "app-trial-device": {
    view: "apps/trial",
    model: { ...trial, phase: "waiting", device: { userCode: "BCDF-GHJK", link: "https://id.harbour.example/device?user_code=BCDF-GHJK" } },
  },
  "app-failures": {
    view: "apps/failures",
    model: {
      ...page,
      failures: [
        failure("invalid_redirect_uri", { redirect_uri: "https://notes.example/callback/", scope: "openid" }, "authorization", 3),
        failure(
          "invalid_client",
          { reason: "wrong_secret", auth_method: "client_secret_basic", said: "client authentication failed" },
          "token",
          1,
        ),
        failure("some_error", { said: "x".repeat(80) }, "device", 1200),
      ],
      tryIt: `${path}/try`,
    },
  },
  "app-failures-none": { view: "apps/failures", model: { ...suspended, failures: [], tryIt: `${path}/try` } },
};
