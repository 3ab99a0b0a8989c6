/** `/apps/:client_id/try`: the application's own flow, with this server in the application's part (operations/trials.ts). */
import type Router from "@koa/router";
import type { Context } from "koa";
import type { TokenInspection } from "../../views/assets/token-inspection.js";
import { describeInspection } from "../../views/assets/token-words.js";
import { clientType } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { Resource } from "../clients/resource.ts";
import { splitScope } from "../clients/scopes.ts";
import { cookieAttributes, cookieName } from "../http/cookies.ts";
import { HttpProblem } from "../http/errors.ts";
import { languageOf } from "../http/language.ts";
import type { Language } from "../i18n/languages.ts";
import { text } from "../i18n/messages.ts";
import type { Trial, TrialRuns } from "../operations/trials.ts";
import { explainFailure } from "./failure-words.ts";
import { type AppVisit, appPath, type Frame, seeOther } from "./frame.ts";

export interface TrialPagesOptions {
  https: boolean;
  runs: TrialRuns;
  resources: { all(): readonly Resource[] };
  inspect(token: string): Promise<TokenInspection | undefined>;
}

/** Milliseconds. */
const COOKIE_LIFE = 900_000;

/** Parameters and members whose meaning is told: `try:meanings.<name>`. */
const EXPLAINED: ReadonlySet<string> = new Set([
  ...[
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "prompt",
  ],
  ...[
    "grant_type",
    "code",
    "code_verifier",
    "iss",
    "access_token",
    "id_token",
    "refresh_token",
    "token_type",
    "expires_in",
    "error",
    "token",
  ],
  ...["error_description", "request_uri", "device_code", "user_code", "verification_uri", "verification_uri_complete", "interval", "sub"],
  ...["refresh_token", "Authorization", "DPoP"],
]);

/** @param now milliseconds since the epoch */
export function addTrialPages(
  router: Router,
  frame: Frame,
  { https, runs, resources, inspect }: TrialPagesOptions,
  now: () => number = Date.now,
): void {
  router.get("/apps/:client_id/try", async (ctx) => {
    const visit = await frame.visit(ctx, "try");
    if (visit === undefined) return;
    const action = appPath(visit.client.clientId, "try");
    frame.render(ctx, "apps/try", {
      ...frame.appPage(ctx, "try", visit),
      action,
      kind: clientType(visit.client.metadata),
      resources: resourcesOf(visit.client).map(({ resource }) => ({ value: resource.audience, label: resource.name || resource.audience })),
      run: (await runOf(ctx, visit)) === undefined ? undefined : `${action}/run`,
    });
  });

  router.post("/apps/:client_id/try", frame.verifyForm, async (ctx) => {
    const visit = await frame.visit(ctx, "try");
    if (visit === undefined) return;
    const { client, session } = visit;
    if (client.suspendedAt !== undefined) throw new HttpProblem(409, "suspended", text("apps:suspended"));
    const chosen = resourcesOf(client).find(({ resource }) => resource.audience === ctx.state.form?.resource);
    const { id, goOn } = await runs.begin({
      ...{ client, accountId: session.account.id, address: ctx.state.client.address },
      ...(chosen !== undefined && { resource: chosen.resource.audience, resourceScopes: chosen.scopes }),
    });
    const { name, attributes } = cookieFor(client.clientId);
    ctx.cookies.set(name, id, { ...attributes, maxAge: COOKIE_LIFE });
    seeOther(ctx, goOn ?? `${appPath(client.clientId, "try")}/run`);
  });

  router.get("/apps/:client_id/try/callback", async (ctx) => {
    const visit = await frame.visit(ctx, "try");
    if (visit === undefined) return;
    const { client } = visit;
    const run = await runOf(ctx, visit);
    const params = new URLSearchParams(ctx.querystring);
    if (run === undefined || !(await runs.comeBack(run.id, run.trial, client, params, ctx.state.client.address))) throw notHere();
    seeOther(ctx, `${appPath(client.clientId, "try")}/run`);
  });

  router.get("/apps/:client_id/try/run", async (ctx) => {
    const visit = await frame.visit(ctx, "try");
    if (visit === undefined) return;
    const run = await runOf(ctx, visit);
    const action = appPath(visit.client.clientId, "try");
    if (run === undefined) return seeOther(ctx, action);
    const { trial } = run;
    frame.render(ctx, "apps/trial", {
      ...frame.appPage(ctx, "try", visit),
      action,
      phase: trial.phase,
      exchanges: trial.exchanges.map((exchange) => ({
        ...exchange,
        headers: explained(exchange.headers),
        params: explained(exchange.params),
        answer: explained(exchange.answer ?? []),
      })),
      device: trial.phase === "waiting" && trial.device ? { userCode: trial.device.userCode, link: trial.device.link } : undefined,
      trouble: troubleOf(trial, visit.client),
      tokens: await tokensOf(trial, languageOf(ctx)),
      mayRefresh: trial.phase === "done" && trial.tokens?.refresh !== undefined,
      failures: appPath(visit.client.clientId, "failures"),
    });
  });

  for (const step of ["poll", "refresh", "end"] as const) {
    router.post(`/apps/:client_id/try/${step}`, frame.verifyForm, async (ctx) => {
      const visit = await frame.visit(ctx, "try");
      if (visit === undefined) return;
      const run = await runOf(ctx, visit);
      if (run === undefined) throw notHere();
      await runs[step](run.id, run.trial, visit.client, ctx.state.client.address);
      seeOther(ctx, `${appPath(visit.client.clientId, "try")}/run`);
    });
  }

  function cookieFor(clientId: string) {
    const place = { https, path: appPath(clientId, "try") };
    return { name: cookieName("grantor_trial", place), attributes: { ...cookieAttributes(place), signed: false } };
  }

  /** The run that began in this browser, by this person, and is not over. */
  async function runOf(ctx: Context, { client, session }: AppVisit): Promise<{ id: string; trial: Trial } | undefined> {
    const id = ctx.cookies.get(cookieFor(client.clientId).name, { signed: false });
    const trial = id === undefined ? undefined : await runs.find(id, client.clientId, session.account.id);
    return id === undefined || trial === undefined ? undefined : { id, trial };
  }

  /** Those of which the application has scopes. */
  function resourcesOf({ metadata }: ClientRecord) {
    const registered = new Set(splitScope(metadata.scope));
    return resources
      .all()
      .map((resource) => ({ resource, scopes: resource.scopes.map(({ name }) => name).filter((name) => registered.has(name)) }))
      .filter(({ scopes }) => scopes.length > 0);
  }

  async function tokensOf({ tokens = {} }: Trial, language: Language) {
    const named = [
      { kind: "access" as const, token: tokens.access },
      { kind: "id" as const, token: tokens.id },
    ];
    const found = await Promise.all(
      named.map(async ({ kind, token }) => {
        const inspected = token === undefined ? undefined : await inspect(token);
        if (inspected === undefined) return undefined;
        const { verdict, claims } = describeInspection(inspected, now(), language);
        return { kind, verdict: verdict.words, claims };
      }),
    );
    return found.filter((token) => token !== undefined);
  }
}

const explained = (pairs: readonly (readonly [string, string])[]) =>
  pairs.map(([name, value]) => ({ name, value, meaning: EXPLAINED.has(name) ? text(`try:meanings.${name}`) : undefined }));

/** What the last answer was refused for. */
function troubleOf({ phase, exchanges }: Trial, client: ClientRecord) {
  if (phase !== "failed") return undefined;
  const last = exchanges.findLast(({ answer, params }) => [...(answer ?? []), ...params].some(([name]) => name === "error"));
  const members = Object.fromEntries([...(last?.answer ?? []), ...(last?.params ?? [])]);
  return explainFailure({ error: members.error ?? "server_error", detail: { ...members, said: members.error_description ?? "" } }, client);
}

const notHere = (): HttpProblem =>
  new HttpProblem(400, "no_such_trial", text("try:not_here.message"), {
    title: text("try:not_here.title"),
    advice: text("try:not_here.advice"),
  });
