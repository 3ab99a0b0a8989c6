/** `/apps/…`: an application's secret, who looks after it, its end, trial runs and failed requests, as a browser without JavaScript sees them. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as oauth from "openid-client";
import { beforeEach, expect, test } from "vitest";
import { DEVICE_CODE_GRANT } from "../../src/clients/client-metadata.ts";
import type { NewClient } from "../../src/clients/client-store.ts";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows, type Flow } from "../support/flows.ts";
import { authorizationUrl, type Person, pkce, post, redeem, type SeededClient, signIn } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const API = "https://api.example/trials";
/** That one account looks after. */
const MOST_APPS = 2;

describeFlows("looking after an application", lookingAfter, { env: { APPS_PER_PERSON: `${MOST_APPS}` } });

function lookingAfter(flow: Flow): void {
  let person: Person;
  let agent: Agent;
  const at = (path: string) => `${flow.grantor.url}${path}`;
  const open = (path: string, of = agent) => of.open(at(path));
  const appPath = (app: SeededClient, below: string) => `/apps/${app.client_id}${below}`;
  const copied = (page: Page, name: string) => new RegExp(`id="${name}" value="([^"]*)"`).exec(page.text)?.[1] ?? "";
  /** The form whose action ends so. */
  const submit = (page: Page, action: string, typed: Record<string, string> = {}, of = agent) =>
    of.submit(
      page,
      typed,
      page.forms.findIndex((form) => form.action.endsWith(action)),
    );

  const owned = (by: Person, options: Partial<NewClient> = {}) => flow.grantor.client({ ...options, owner: by.id, createdBy: by.id });

  async function signedIn(): Promise<{ person: Person; agent: Agent }> {
    const [person, agent] = [await flow.grantor.person(), new Agent()];
    await signIn(flow.grantor, await flow.grantor.client(), person, { agent });
    return { person, agent };
  }

  /** The newest mail to an address that holds these words. */
  const mailTo = (email: string, words: string) =>
    waitFor(`a mail to ${email}: ${words}`, () => {
      const outbox = join(flow.grantor.server.env.DATA_DIR as string, "outbox");
      const mails = readdirSync(outbox).filter((file) => file.endsWith(".eml"));
      const texts = mails.sort().map((file) => readFileSync(join(outbox, file), "utf8").replace(/=\r\n/g, "").replace(/=3D/g, "="));
      return texts.findLast((each) => each.includes(`To: ${email}`) && each.includes(words));
    });

  async function getsTokens(app: SeededClient): Promise<boolean> {
    const configuration = await oauth.discovery(new URL(flow.grantor.url), app.client_id, app.client_secret, undefined, {
      execute: [oauth.allowInsecureRequests],
    });
    return oauth.clientCredentialsGrant(configuration).then(
      () => true,
      () => false,
    );
  }

  beforeEach(async () => {
    ({ person, agent } = await signedIn());
  });

  test("two secrets count side by side for as long as the owner says, and the former ends when they say so", async () => {
    const app = await owned(person, { type: "service" });
    const page = await open(appPath(app, "/secret"));
    expect(page.text).toContain("It is the only one that works.");
    const wrong = await submit(page, "/secret", { overlap: "12" });
    expect([wrong.status, wrong.text.includes('id="overlap-error"')]).toEqual([400, true]);
    const rotated = await submit(page, "/secret", { overlap: "86400" });
    const second = { ...app, client_secret: copied(rotated, "client_secret") };
    expect(second.client_secret).toMatch(/^[\w-]{43}$/);
    expect(rotated.url).toBe(at(appPath(app, "/secret")));
    for (const secret of [app, second]) expect(await getsTokens(secret)).toBe(true);
    const again = await open(appPath(app, "/secret"));
    expect(again.text).not.toContain(second.client_secret);
    await mailTo(person.email, "made a new secret");
    const ended = await submit(again, "/secret/end");
    expect(ended.text).toContain("does not work any more");
    expect([await getsTokens(app), await getsTokens(second)]).toEqual([false, true]);
    const third = { ...app, client_secret: copied(await submit(ended, "/secret", { overlap: "0" }), "client_secret") };
    expect([await getsTokens(second), await getsTokens(third)]).toEqual([false, true]);
  });

  test("nobody else sees any of it, and a sign-in from long ago does not do", async () => {
    const app = await owned(person);
    const stranger = (await signedIn()).agent;
    const paths = ["/secret", "/owners", "/delete", "/failures", "/try", "/try/run", "/try/callback?code=x&state=y"];
    for (const path of paths) expect([path, (await open(appPath(app, path), stranger)).status]).toEqual([path, 404]);
    const nobody = await open(appPath(app, "/secret"), new Agent());
    expect(nobody.text).toContain('name="password"');
    const forms = [await open(appPath(app, "/secret")), await open(appPath(app, "/owners"))];
    await flow.later(3_600, async () => {
      for (const form of forms) expect((await agent.submit(form, { overlap: "0" }, 0)).text).toContain('name="password"');
    });
    expect(await flow.grantor.services.clients.checkSecret(app.client_id, app.client_secret as string)).toBe(true);
    // A form that is not from a page of ours.
    for (const path of ["/secret", "/secret/end", "/owners/remove", "/delete", "/try", "/try/end"]) {
      const response = await agent.request(at(appPath(app, path)), { method: "POST", body: new URLSearchParams({ overlap: "0" }) });
      expect([path, response.status]).toEqual([path, 403]);
    }
  });

  test("an application is shared by a link that counts once, for its address alone; everybody is told; the last one stays", async () => {
    const app = await owned(person, { metadata: { client_name: "Shared notes" } });
    const other = await signedIn();
    const third = await signedIn();
    const page = await open(appPath(app, "/owners"));
    for (const email of ["nobody", person.email.toUpperCase()]) expect((await submit(page, "/owners", { email })).status).toBe(400);
    const [known, unknown] = await Promise.all(
      [other.person.email, "stranger@example.org"].map((email) => submit(page, "/owners", { email })),
    );
    for (const sent of [known, unknown]) expect(sent?.text).toContain("The invitation is on its way");
    const { accounts, ownerInvitations } = flow.grantor.services.people;
    const inviter = await accounts.get(person.id);
    for (let n = 2; n < 30; n++) await ownerInvitations.send(inviter, `another-${n}`, `somebody-${n}@example.org`, {});
    expect((await submit(page, "/owners", { email: "one-too-many@example.org" })).status).toBe(429);
    const mail = await mailTo(other.person.email, "/apps/invitation?token=");
    expect(mail).not.toContain("Shared notes"); // whatever somebody typed does not go to an address of their choice
    const link = /http\S+\/apps\/invitation\?token=[\w-]+/.exec(mail)?.[0] ?? "";

    const elsewhere = await third.agent.open(link);
    expect([elsewhere.status, elsewhere.text.includes("another address")]).toEqual([400, true]);
    const invited = await other.agent.open(link);
    expect(invited.url).toBe(at("/apps/invitation"));
    expect(invited.text).toContain("Shared notes");
    expect((await open(appPath(app, ""), other.agent)).status).toBe(404); // a link alone changes nothing
    const joined = await submit(invited, "/apps/invitation", {}, other.agent);
    expect([joined.status, joined.text.includes("You look after this application now.")]).toEqual([200, true]);
    expect((await other.agent.open(link)).status).toBe(400);
    await mailTo(person.email, "accepted an invitation");

    // The other invitation is withdrawn, and its link is dead.
    const strangersLink =
      /http\S+\/apps\/invitation\?token=[\w-]+/.exec(await mailTo("stranger@example.org", "/apps/invitation"))?.[0] ?? "";
    const pending = await open(appPath(app, "/owners"), other.agent);
    expect(pending.text).toContain("stranger@example.org");
    expect((await submit(pending, "/owners/withdraw", {}, other.agent)).text).not.toContain("stranger@example.org");
    expect((await agent.open(strangersLink)).status).toBe(400);

    // One removes the other, who cannot come back by an invitation of their own.
    const team = await open(appPath(app, "/owners"), other.agent);
    const removed = await submit(team, "/owners/remove", {}, other.agent);
    expect(removed.text).toContain("Removed.");
    await mailTo(person.email, "removed you");
    expect((await open(appPath(app, ""))).status).toBe(404);
    const last = await submit(team, "/owners/remove", { owner: other.person.id }, other.agent);
    expect([last.status, last.text.includes("You are the only one")]).toEqual([409, true]);
  });

  test("whoever looks after as many as they may makes room before they accept, and the link waits for them", async () => {
    const app = await owned(person);
    const other = await signedIn();
    const others = await Promise.all(Array.from({ length: MOST_APPS }, () => owned(other.person)));
    await submit(await open(appPath(app, "/owners")), "/owners", { email: other.person.email });
    const link = /http\S+\/apps\/invitation\?token=[\w-]+/.exec(await mailTo(other.person.email, "/apps/invitation?token="))?.[0] ?? "";
    const invited = await other.agent.open(link);
    const full = await submit(invited, "/apps/invitation", {}, other.agent);
    expect([full.status, full.text.includes("as many applications as one person may")]).toEqual([409, true]);
    await flow.grantor.services.clients.delete(others[0]?.client_id ?? "");
    expect((await submit(invited, "/apps/invitation", {}, other.agent)).text).toContain("You look after this application now.");
  });

  test("an application goes when its name was typed, with its tokens, and everybody is told", async () => {
    const app = await owned(person, { metadata: { client_name: "Old  notes" } });
    const { tokens } = await signIn(flow.grantor, app, person, { agent });
    const page = await open(appPath(app, "/delete"));
    const wrong = await submit(page, "/delete", { name: "Notes" });
    expect([wrong.status, wrong.text.includes('id="name-error"')]).toEqual([400, true]);
    const gone = await submit(page, "/delete", { name: " old notes".replace("old", "Old") });
    expect([gone.url, gone.text.includes("The application is deleted.")]).toEqual([at("/apps?done=deleted"), true]);
    expect((await post(at("/oauth/token"), app, { grant_type: "refresh_token", refresh_token: tokens.refresh_token ?? "" })).status).toBe(
      401,
    );
    await mailTo(person.email, "deleted the application");
  });

  test("an application of somebody who deletes their account is named to them before, and in their data", async () => {
    await owned(person, { metadata: { client_name: "Only mine" } });
    expect((await open("/account/delete")).text).toContain("Only mine");
    const data = await submit(await open("/account/data"), "/account/data");
    expect(JSON.parse(data.text)).toMatchObject({ own_applications: [{ name: "Only mine", only_owner: true }] });
  });

  test("a suspended application stays as it is", async () => {
    const app = await owned(person);
    const pages = await Promise.all(["/secret", "/owners", "/delete", "/try"].map((path) => open(appPath(app, path))));
    await flow.grantor.services.clients.suspend(app.client_id);
    await waitFor("the server to hear of it", async () => (await open(appPath(app, ""))).text.includes("suspended"));
    const [secret, owners, end, trial] = pages as [Page, Page, Page, Page];
    const statuses = [
      (await submit(secret, "/secret", { overlap: "0" })).status,
      (await submit(owners, "/owners", { email: "bob@example.org" })).status,
      (await submit(end, "/delete", { name: "Test application" })).status,
      (await submit(trial, "/try")).status,
    ];
    expect(statuses).toEqual([409, 409, 409, 409]);
    expect((await submit(secret, "/secret", { overlap: "0" })).text).toContain("An operator has suspended this application");
    for (const path of ["/secret", "/owners", "/delete", "/try"])
      expect((await open(appPath(app, path))).forms.filter(({ action }) => action.includes("/apps/"))).toEqual([]);
  });

  describeTrials();
  describeFailures();

  function describeTrials(): void {
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
  }

  function describeFailures(): void {
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
      await agent.open(
        authorizationUrl(flow.grantor.url, inPlace, proof, { resource: "https://ada:pa55word@api.example/?token=pa55word" }),
      );
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
  }
}
