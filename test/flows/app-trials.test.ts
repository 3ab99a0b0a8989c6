/** `/apps/:client_id/try` and `/failures`: an application's own flow, run in the portal, and what it was refused, as a browser without JavaScript sees them. */
import { beforeEach, expect, test } from "vitest";
import { DEVICE_CODE_GRANT } from "../../src/clients/client-metadata.ts";
import { Agent, type Page } from "../support/agent.ts";
import { appOwner } from "../support/app-owner.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, type Person, pkce, post, redeem, type SeededClient, signIn } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const API = "https://api.example/trials";

describeFlows("trying an application", (flow) => {
  const owner = appOwner(flow);
  const { at, open, appPath, submit, owned, signedIn } = owner;
  let person: Person;
  let agent: Agent;
  beforeEach(() => {
    ({ person, agent } = owner);
  });

  /** Begins a run and says yes. */
  async function tried(app: SeededClient, typed: Record<string, string> = {}): Promise<Page> {
    const asked = await submit(await open(appPath(app, "/try")), "/try", typed);
    expect(asked.text).toContain('name="decision"');
    return agent.submit(asked, { decision: "allow" }, asked.forms.length - 1);
  }

  test.each([
    ["web", {}],
    ["web", { token_endpoint_auth_method: "client_secret_post" }],
    ["web", { require_pushed_authorization_requests: true }],
    ["web", { dpop_bound_access_tokens: true }],
    ["spa", {}],
    ["native", { redirect_uris: ["com.example.app:/callback"] }],
  ] as const)("a %s application with %o runs its own flow, and the page shows everything but secrets", async (type, metadata) => {
    const app = await owned(person, { type, metadata });
    const run = await tried(app);
    expect([run.url, run.text.includes("It works")]).toEqual([at(appPath(app, "/try/run")), true]);
    for (const shown of ["code_verifier", "id_token", person.email, "grant_type", "aud", `${flow.grantor.url}/oauth/userinfo`])
      expect(run.text).toContain(shown);
    expect(run.text).not.toMatch(/eyJ[\w-]+\.eyJ/);
    const german = (await open(`${appPath(app, "/try/run")}?ui_locales=de`)).text;
    expect(german).toContain("Es gilt: Dieser Server hat es signiert");
    expect(german).not.toMatch(/It counts|the person/);
    const refreshed = await submit(run, "/try/refresh");
    expect(refreshed.text).toContain("The application uses its refresh token");
    const ended = await submit(refreshed, "/try/end");
    expect(ended.text).toContain("has ended");
    expect(ended.text).toMatch(/revoked/i);
  });

  test("an application with a key of its own is vouched for, and a machine and a device try their flows", async () => {
    const { publicKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
    const jwk = {
      ...(await crypto.subtle.exportKey("jwk", publicKey)),
      alg: "ES256",
      kid: "one",
      use: "sig",
      key_ops: undefined,
      ext: undefined,
    };
    const keyed = await owned(person, {
      metadata: { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [JSON.parse(JSON.stringify(jwk))] } },
    });
    expect((await tried(keyed)).text).toContain("It works");

    await flow.grantor.resource(API, { name: "Trials", scopes: [{ name: "trials:read", description: "read" }] });
    const machine = await owned(person, { type: "service", metadata: { scope: "trials:read" } });
    const form = await waitFor("the resource", async () => {
      const page = await open(appPath(machine, "/try"));
      return page.text.includes("Trials") ? page : undefined;
    });
    const run = await submit(form, "/try", { resource: API });
    for (const shown of ["It works", "client_credentials", API, "trials:read"]) expect(run.text).toContain(shown);

    const device = await owned(person, { type: "device" });
    const waiting = await submit(await open(appPath(device, "/try")), "/try");
    const link = /href="([^"]+\/device\?user_code=[^"]+)"/.exec(waiting.text)?.[1]?.replaceAll("&#38;", "&") ?? "";
    const early = await submit(waiting, "/try/poll");
    expect(early.text).toContain("authorization_pending");
    let page = await agent.open(link);
    while (!page.text.includes('name="decision"')) page = await agent.submit(await agent.proceed(page), { confirm: "yes" }, 0);
    await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
    const done = await waitFor("the device's tokens", async () => {
      const now = await submit(await open(appPath(device, "/try/run")), "/try/poll");
      return now.text.includes("It works") ? now : undefined;
    });
    expect(done.text).toContain(person.email);
  });

  test("who says no sees what the application is told", async () => {
    const app = await owned(person);
    const asked = await submit(await open(appPath(app, "/try")), "/try");
    const denied = await agent.submit(asked, { decision: "deny" }, asked.forms.length - 1);
    for (const shown of ["access_denied", "The person said no"]) expect(denied.text).toContain(shown);
  });

  test("a browser that comes back twice at once shows its code once", async () => {
    const app = await owned(person);
    const asked = await submit(await open(appPath(app, "/try")), "/try");
    const { action = "", fields = {} } = asked.forms.at(-1) ?? {};
    let answer = await agent.request(action, { method: "POST", body: new URLSearchParams({ ...fields, decision: "allow" }) });
    const next = () => new URL(answer.headers.get("Location") ?? "", flow.grantor.url).href;
    while (!next().includes("/try/callback?")) answer = await agent.request(next());
    const back = await Promise.all([1, 2, 3].map(() => agent.request(next())));
    expect(new Set(back.map(({ status, headers }) => `${status} ${headers.get("Location")}`))).toEqual(
      new Set([`303 ${appPath(app, "/try/run")}`]),
    );
    expect((await open(appPath(app, "/try/run"))).text).toContain("It works");
  });

  test("the built-in callback is for a run that an owner has begun, in the browser in which they did, and for nobody else", async () => {
    const [app, another] = [await owned(person), await owned(person)];
    const callback = at(appPath(app, "/try/callback"));
    const proof = pkce();
    // Without a run it is not registered; and a state of another application's run does not help.
    const begun = await open(appPath(another, "/try"));
    const started = await agent.request(begun.forms.find(({ action }) => action.endsWith("/try"))?.action ?? "", {
      method: "POST",
      body: new URLSearchParams(begun.forms.find(({ action }) => action.endsWith("/try"))?.fields),
    });
    const others = new URL(started.headers.get("Location") ?? "", flow.grantor.url).searchParams;
    for (const state of ["abc", others.get("state") ?? ""]) {
      const page = await open(
        new URL(authorizationUrl(flow.grantor.url, { ...app, redirect_uri: callback }, proof, { state })).pathname +
          new URL(authorizationUrl(flow.grantor.url, { ...app, redirect_uri: callback }, proof, { state })).search,
      );
      expect([page.status, page.text.includes("invalid_redirect_uri")]).toEqual([400, true]);
    }

    // Somebody who is lured into a run of another's says yes: the code goes to this server, which gives it to nobody.
    const lured = await signedIn();
    const victim = await lured.agent.open(new URL(started.headers.get("Location") ?? "", flow.grantor.url).href);
    const page = await lured.agent.submit(victim, { decision: "allow" }, victim.forms.length - 1);
    expect(page.status).toBe(404);
    // The owner themselves in another browser, too.
    const elsewhere = new Agent();
    await signIn(flow.grantor, await flow.grantor.client(), person, { agent: elsewhere });
    const asked = await elsewhere.open(new URL(started.headers.get("Location") ?? "", flow.grantor.url).href);
    expect((await elsewhere.submit(asked, { decision: "allow" }, asked.forms.length - 1)).status).toBe(400);
    // From outside nothing is vouched for.
    const basic = { Authorization: `Basic ${Buffer.from(`${app.client_id}:trial`).toString("base64")}` };
    const outside = await fetch(at("/oauth/token"), {
      method: "POST",
      headers: basic,
      body: new URLSearchParams({ grant_type: "client_credentials" }),
    });
    expect(outside.status).toBe(401);
  });

  test("what was refused is told with the reason and the remedy, once for each kind, and without secrets", async () => {
    const app = await owned(person);
    const proof = pkce();
    const shown = (words: string) =>
      waitFor(words, async () => {
        const page = await open(appPath(app, "/failures"));
        return page.text.replace(/<\/?bdi[^>]*>/g, "").includes(words) ? page : undefined;
      });
    expect((await open(appPath(app, "/failures"))).text).toContain("Nothing was refused");
    const leaked = "s3cret-in-the-wrong-place-0123456789abcdef";
    const redirect_uri = `${app.redirect_uri}/?token=${leaked}`;
    for (let n = 0; n < 3; n++)
      await agent.open(authorizationUrl(flow.grantor.url, { ...app, redirect_uri: `${app.redirect_uri}/` }, proof));
    await agent.open(authorizationUrl(flow.grantor.url, { ...app, redirect_uri }, proof, { scope: `openid ${leaked}` }));
    const inPlace = { ...app, redirect_uri: "https:ada:pa55word@app.example/" };
    await agent.open(authorizationUrl(flow.grantor.url, inPlace, proof, { resource: "https://ada:pa55word@api.example/?token=pa55word" }));
    await shown("slash at the end alone");
    await redeem(flow.grantor, { ...app, client_secret: leaked }, leaked, proof);
    await shown("The client secret was wrong");
    await redeem(flow.grantor, app, leaked, proof);
    await shown("There is no such code or token");
    const { client_secret: _none, ...silent } = app;
    await redeem(flow.grantor, silent, leaked, proof);
    await shown("registered for client_secret_basic");
    await post(at("/oauth/token"), app, { grant_type: DEVICE_CODE_GRANT, device_code: leaked });
    const page = await shown("is not registered for");
    expect(page.text).toContain("unauthorized_client");
    expect(page.text).toContain("token=…");
    for (const secret of [leaked, "pa55word"]) expect(page.text).not.toContain(secret);
    const rows = await flow.grantor.services.database.prisma.clientFailure.findMany({ where: { clientId: app.client_id } });
    expect(JSON.stringify(rows, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value))).not.toMatch(
      new RegExp(`${leaked}|pa55word`),
    );
  });
});
