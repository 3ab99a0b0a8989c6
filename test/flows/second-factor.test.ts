/** The second step of a sign-in: what asks for it, what it opens, what gets past it (nothing), and what tokens say of it. */
import { decodeJwt } from "jose";
import { generateSync } from "otplib";
import { expect, it } from "vitest";
import { ACR_VALUES } from "../../src/factors/assurance.ts";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
  authorize,
  introspect,
  type Person,
  pkce,
  post,
  redeem,
  refresh,
  type SeededClient,
  type Tokens,
} from "../support/grantor.ts";
import { noteSecret } from "../support/secrets-watch.ts";
import { expectErrorPage } from "../support/soundness.ts";

const [PASSWORD_ACR, TWO_FACTOR_ACR, PASSKEY_ACR] = ACR_VALUES as [string, string, string];

describeFlows("the second step", (flow) => {
  const now = () => Math.floor(Date.now() / 1000);
  const codeOf = (secret: string, steps = 0) => generateSync({ secret, epoch: now() + 30 * steps });
  const formWith = (page: Page, field: string) => page.forms.findIndex(({ fields }) => field in fields);
  const fill = (page: Page, typed: Record<string, string>) => page.forms.length && formWith(page, Object.keys(typed)[0] as string);
  const submit = (agent: Agent, page: Page, typed: Record<string, string>) => agent.submit(page, typed, Math.max(0, fill(page, typed)));
  const cancel = (agent: Agent, page: Page) =>
    agent.submit(
      page,
      {},
      page.forms.findIndex(({ action }) => action.endsWith("/cancel")),
    );
  const at = (page: Page, path: string) => expect([page.status, new URL(page.url).pathname.endsWith(path)]).toEqual([200, true]);
  const outcome = (page: Page) => Object.fromEntries(new URL(page.url).searchParams) as { code?: string; error?: string };

  /** Somebody with an authenticator app, no code of which was used yet. */
  async function secured(options: Parameters<typeof flow.grantor.person>[0] = {}): Promise<Person & { secret: string }> {
    const person = await flow.grantor.person(options);
    const { totp } = flow.grantor.services.secondFactors;
    const { secret, sealed } = totp.begin(person.id, person.email);
    noteSecret(secret);
    expect(await totp.confirm(person.id, sealed, codeOf(secret))).toBe(true);
    await forgetUse(person);
    return { ...person, secret };
  }
  const forgetUse = ({ id }: Person) =>
    flow.grantor.services.database.prisma.credential.updateMany({ where: { accountId: id, kind: "totp" }, data: { usedStep: null } });

  async function throughPassword(agent: Agent, client: SeededClient, person: Person, parameters: Record<string, string> = {}) {
    const proof = pkce();
    const page = await authorize(agent, authorizationUrl(flow.grantor.url, client, proof, parameters), person);
    return { page, proof };
  }
  async function tokensAt(client: SeededClient, page: Page, proof: ReturnType<typeof pkce>): Promise<Tokens> {
    const response = await redeem(flow.grantor, client, outcome(page).code ?? "", proof);
    expect(response.status).toBe(200);
    return (await response.json()) as Tokens;
  }
  const said = (token: string | undefined) => {
    const { acr, amr, auth_time } = decodeJwt(token ?? "");
    return { acr, amr, auth_time: auth_time as number };
  };

  it("asks for a code after the password, and tokens say what was done", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const agent = new Agent();
    const began = now();
    const { page, proof } = await throughPassword(agent, client, person);
    at(page, "/second-factor");
    expect(page.text).toContain(person.email);
    const before = agent.cookiesFor(`${flow.grantor.url}/`).grantor_session;

    const empty = await submit(agent, page, { code: " " });
    expect(empty.status).toBe(400);
    const wrong = await submit(agent, empty, { code: codeOf(person.secret, 5) });
    expect([wrong.status, wrong.text.includes("wrong, or was used already")]).toEqual([401, true]);
    const end = await submit(agent, wrong, { code: codeOf(person.secret).replace(/^.../, "$& ") }); // as apps show it
    const tokens = await tokensAt(client, end, proof);
    const { auth_time, ...id } = said(tokens.id_token);
    expect(id).toEqual({ acr: TWO_FACTOR_ACR, amr: ["pwd", "otp", "mfa"] });
    expect(auth_time >= began && auth_time <= now() + 1).toBe(true);
    expect(said(tokens.access_token)).toMatchObject({ acr: TWO_FACTOR_ACR, auth_time });
    expect(await introspect(flow.grantor, client, tokens.access_token)).toMatchObject({ acr: TWO_FACTOR_ACR, auth_time });
    const again = (await (await refresh(flow.grantor, client, tokens.refresh_token ?? "")).json()) as Tokens;
    expect(said(again.id_token)).toEqual({ acr: TWO_FACTOR_ACR, amr: ["pwd", "otp", "mfa"], auth_time });
    expect(said(again.access_token)).toMatchObject({ acr: TWO_FACTOR_ACR, auth_time });
    expect(agent.cookiesFor(`${flow.grantor.url}/`).grantor_session).not.toBe(before);

    const metadata = (await (await fetch(`${flow.grantor.url}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;
    expect(metadata.acr_values_supported).toEqual(ACR_VALUES);
    expect(metadata.claims_supported).toEqual(expect.arrayContaining(["acr", "amr", "auth_time"]));
  });

  it("takes a code once, in whichever browser", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const code = codeOf(person.secret);
    const agents = [new Agent(), new Agent(), new Agent()];
    const pages = await Promise.all(agents.map(async (agent) => (await throughPassword(agent, client, person)).page));
    const ends = await Promise.all(agents.map((agent, index) => submit(agent, pages[index] as Page, { code })));
    expect(ends.map(({ status }) => status).sort()).toEqual([0, 401, 401]);
  });

  it("lets nobody skip it, or come with another browser", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const agent = new Agent();
    const first = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const step = `${first.url}/second-factor`;
    const fields = first.forms[0]?.fields ?? {};
    const postTo = (who: Agent, action: string, typed: Record<string, string>) =>
      who.submit({ ...first, forms: [{ action, fields }] }, typed, 0);
    // Before the first factor there is no second.
    expect((await agent.open(step)).text).toContain('name="password"');
    expect((await postTo(agent, step, { code: codeOf(person.secret) })).text).toContain('name="password"');
    expect((await postTo(agent, `${step}/set-up`, { code: codeOf(person.secret), set_up: "x" })).text).toContain('name="password"');

    const page = await agent.submit(first, { email: person.email, password: person.password });
    at(page, "/second-factor");
    const resume = `${flow.grantor.url}/oauth/authorize/${new URL(first.url).pathname.split("/").at(-1)}`;
    const skipped = await agent.open(resume);
    expect(outcome(skipped).code).toBeUndefined();
    expect(skipped.text).toContain('name="password"'); // it begins anew

    const own = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const mine = await agent.submit(own, { email: person.email, password: person.password });
    at(mine, "/second-factor");
    const thief = new Agent();
    await expectErrorPage(flow, await thief.open(mine.url), 400, "no longer open");
    const theirs = await thief.open(authorizationUrl(flow.grantor.url, client, pkce()));
    await expectErrorPage(flow, await thief.open(mine.url), 400, "no longer open");
    const forged = { ...theirs, forms: [{ action: mine.url, fields: theirs.forms[0]?.fields ?? {} }] };
    await expectErrorPage(flow, await thief.submit(forged, { code: codeOf(person.secret) }), 400, "no longer open");
    // Somebody with an app cannot be given another on the way.
    const setUp = { ...mine, forms: [{ action: `${mine.url}/set-up`, fields: mine.forms[0]?.fields ?? {} }] };
    at(await agent.submit(setUp, { code: "123456", set_up: "x" }), "/second-factor");
    expect(outcome(await submit(agent, mine, { code: codeOf(person.secret) })).code).toBeTruthy();
  });

  it("forgets the first factor when the password is changed, the account disabled, or time has passed", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const { accounts, passwords } = flow.grantor.services.people;
    const changes: ((person: Person) => Promise<unknown>)[] = [
      async ({ id }) => accounts.update(id, { passwordHash: await passwords.hash("another long enough password") }),
      ({ id }) => accounts.disable(id),
    ];
    for (const change of changes) {
      const person = await secured();
      const agent = new Agent();
      const { page } = await throughPassword(agent, client, person);
      await change(person);
      const refused = await submit(agent, page, { code: codeOf(person.secret) });
      expect([refused.status, refused.text.includes('name="password"')]).toEqual([200, true]);
    }
    const person = await secured();
    const agent = new Agent();
    const { page } = await throughPassword(agent, client, person);
    await flow.later(1_000, async () => expect((await agent.open(page.url)).text).toContain('name="password"'));
  });

  it("counts no first factor whose sign-in comes to its end when there is a second one by then", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await flow.grantor.person();
    const agent = new Agent();
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce()));
    const body = new URLSearchParams({ ...page.forms[0]?.fields, email: person.email, password: person.password });
    const step = await agent.request(page.forms[0]?.action as string, { method: "POST", body });
    const { totp } = flow.grantor.services.secondFactors;
    const { secret, sealed } = totp.begin(person.id, person.email);
    noteSecret(secret);
    expect(await totp.confirm(person.id, sealed, codeOf(secret))).toBe(true); // its owner, elsewhere
    const end = await agent.open(new URL(step.headers.get("Location") ?? "", flow.grantor.url).href);
    await expectErrorPage(flow, end, 400, "interaction session not found");
    const again = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
    expect(outcome(again).error).toBe("login_required");
  });

  it("takes a recovery code once, and tells its owner", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const [code = "", other = ""] = await flow.grantor.services.secondFactors.recoveryCodes.renew(person.id);
    const agent = new Agent();
    const { page, proof } = await throughPassword(agent, client, person);
    const asked = await agent.open(`${page.url}?use=recovery`);
    expect(asked.text).toContain("Recovery code");
    const used = await submit(agent, asked, { code: ` ${code.toUpperCase()} ` });
    expect([used.status, used.text.includes("You have 9 left")]).toEqual([200, true]);
    const next = /class="button primary" href="([^"]+)"/.exec(used.text)?.[1] ?? "";
    const end = await agent.open(next);
    expect(said((await tokensAt(client, end, proof)).id_token)).toMatchObject({ acr: TWO_FACTOR_ACR, amr: ["pwd", "recovery", "mfa"] });

    const elsewhere = new Agent();
    const again = await throughPassword(elsewhere, client, person);
    const refused = await submit(elsewhere, await elsewhere.open(`${again.page.url}?use=recovery`), { code });
    expect([refused.status, refused.text.includes("wrong, or was used already")]).toEqual([401, true]);
    expect((await submit(elsewhere, refused, { code: other })).text).toContain("You have 8 left"); // in the usual field too
  });

  it("holds up guessing, whatever the browser, but not in one that has signed in before", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const owner = new Agent();
    const { page: known } = await throughPassword(owner, client, person);
    expect(outcome(await submit(owner, known, { code: codeOf(person.secret) })).code).toBeTruthy();
    await forgetUse(person);
    const statuses: number[] = [];
    for (let tries = 0; tries < 8 && !statuses.includes(429); tries++) {
      const guesser = new Agent();
      const { page } = await throughPassword(guesser, client, person);
      statuses.push((await submit(guesser, page, { code: codeOf(person.secret, 9) })).status);
    }
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThanOrEqual(5);
    expect(statuses.at(-1)).toBe(429);
    const { page } = await throughPassword(owner, client, person, { prompt: "login" });
    expect(outcome(await submit(owner, page, { code: codeOf(person.secret) })).code).toBeTruthy();
  });

  it("makes a session surer by what it lacks alone, and keeps when it began", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await flow.grantor.person();
    const agent = new Agent();
    const first = await throughPassword(agent, client, person);
    const before = said((await tokensAt(client, first.page, first.proof)).id_token);
    expect(before).toMatchObject({ acr: PASSWORD_ACR, amr: ["pwd"] });
    const { totp } = flow.grantor.services.secondFactors;
    const { secret, sealed } = totp.begin(person.id, person.email);
    await totp.confirm(person.id, sealed, codeOf(secret, -1));

    const surer = { acr_values: `${PASSKEY_ACR} ${TWO_FACTOR_ACR}` };
    const url = (parameters: Record<string, string>) => authorizationUrl(flow.grantor.url, client, pkce(), parameters);
    // RFC 9470 §5
    expect(outcome(await agent.open(url({ ...surer, prompt: "none" })))).toMatchObject({ error: "unmet_authentication_requirements" });
    expect(outcome(await agent.open(url({ prompt: "none" }))).code).toBeTruthy();
    expect(outcome(await new Agent().open(url({ ...surer, prompt: "none" })))).toMatchObject({ error: "login_required" });
    const jar = agent.cookiesFor(`${flow.grantor.url}/`);

    const givenUp = await agent.open(url(surer));
    at(givenUp, "/second-factor"); // no password is asked for
    expect(outcome(await cancel(agent, givenUp))).toMatchObject({ error: "unmet_authentication_requirements", state: "the-state" });

    await flow.later(120, async () => {
      const proof = pkce();
      const page = await agent.open(authorizationUrl(flow.grantor.url, client, proof, surer));
      const end = await submit(agent, page, { code: generateSync({ secret, epoch: now() + 120 }) });
      const after = said((await tokensAt(client, end, proof)).id_token);
      expect(after).toEqual({ acr: TWO_FACTOR_ACR, amr: ["pwd", "otp", "mfa"], auth_time: before.auth_time });
    });
    expect(outcome(await agent.open(url({ ...surer, prompt: "none" }))).code).toBeTruthy();
    // The cookie from before is no session any more.
    const stale = new Agent();
    for (const [name, value] of Object.entries(jar)) stale.setCookie(name, value);
    expect(outcome(await stale.open(url({ prompt: "none" })))).toMatchObject({ error: "login_required" });
  });

  it("says the truth about when, for max_age and prompt=login", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const agent = new Agent();
    const { page, proof } = await throughPassword(agent, client, person);
    const first = said((await tokensAt(client, await submit(agent, page, { code: codeOf(person.secret) }), proof)).id_token);
    await flow.later(300, async () => {
      const url = (parameters: Record<string, string>) => authorizationUrl(flow.grantor.url, client, pkce(), parameters);
      expect(outcome(await agent.open(url({ prompt: "none", max_age: "900" }))).code).toBeTruthy();
      expect(outcome(await agent.open(url({ prompt: "none", max_age: "60" })))).toMatchObject({ error: "login_required" });
      for (const [index, parameters] of [{ max_age: "60" }, { prompt: "login" }].entries()) {
        const again = await throughPassword(agent, client, person, parameters);
        at(again.page, "/second-factor");
        const end = await submit(agent, again.page, { code: generateSync({ secret: person.secret, epoch: now() + 300 + 30 * index }) });
        const later = said((await tokensAt(client, end, again.proof)).id_token);
        expect([later.acr, later.auth_time - first.auth_time >= 300]).toEqual([TWO_FACTOR_ACR, true]);
      }
    });
  });

  it("is set up on the way where an application demands it", async () => {
    const easy = await flow.grantor.client({ firstParty: true });
    const strict = await flow.grantor.client({ firstParty: true, requiresSecondFactor: true });
    const person = await flow.grantor.person();
    const agent = new Agent();
    expect(outcome((await throughPassword(agent, easy, person)).page).code).toBeTruthy();
    const url = authorizationUrl(flow.grantor.url, strict, pkce(), { prompt: "none" });
    expect(outcome(await agent.open(url))).toMatchObject({ error: "unmet_authentication_requirements" });
    // A first factor from before is not enough to set up a second one.
    const asked = await agent.open(authorizationUrl(flow.grantor.url, strict, pkce()));
    expect(asked.text).toContain('name="password"');
    expect(asked.text).toContain("You need a second step to go on");

    const { page, proof } = await throughPassword(agent, strict, person);
    expect(page.text).toContain("Set up an authenticator app");
    expect(outcome(await cancel(new Agent(), page)).error).toBeUndefined();
    const secret = (/<code class="key" dir="ltr">([A-Z2-7 ]+)</.exec(page.text)?.[1] ?? "").replaceAll(" ", "");
    noteSecret(secret);
    const wrong = await submit(agent, page, { code: codeOf(secret, 9) });
    expect([wrong.status, wrong.text.includes("This code is wrong"), wrong.text.includes(secret.slice(0, 4))]).toEqual([400, true, true]);
    const done = await submit(agent, wrong, { code: codeOf(secret) });
    const codes = [...done.text.matchAll(/<li><code>([^<]+)</g)].map(([, code]) => code as string);
    expect([done.status, codes.length]).toEqual([200, 10]);
    for (const code of codes) noteSecret(code);
    const end = await agent.open(/class="button primary" href="([^"]+)"/.exec(done.text)?.[1] ?? "");
    expect(said((await tokensAt(strict, end, proof)).id_token)).toMatchObject({ acr: TWO_FACTOR_ACR, amr: ["pwd", "otp", "mfa"] });
    expect(await flow.grantor.services.secondFactors.factors.of(person.id)).toMatchObject({ totp: true, recoveryCodes: 10 });

    const other = await flow.grantor.person();
    const reluctant = new Agent();
    const set = await throughPassword(reluctant, strict, other);
    expect(outcome(await cancel(reluctant, set.page))).toMatchObject({ error: "unmet_authentication_requirements" });
    expect(outcome(await reluctant.open(authorizationUrl(flow.grantor.url, easy, pkce(), { prompt: "none" })))).toMatchObject({
      error: "login_required",
    });
  });

  it("is demanded by a role, of remembered sessions, on own pages, and of devices", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const device = await flow.grantor.client({ type: "device" });
    const person = await secured();
    const { database, people } = flow.grantor.services;
    const plain = await flow.grantor.person();
    const agent = new Agent();
    expect(outcome((await throughPassword(agent, client, plain)).page).code).toBeTruthy();
    expect((await agent.open(`${flow.grantor.url}/account`)).text).toContain(plain.email);
    const role = `treasurer-${plain.id.slice(0, 6).replace(/[^A-Za-z0-9]/g, "x")}`;
    await database.prisma.role.create({ data: { name: role, requiresSecondFactor: true } });
    for (const { id } of [person, plain]) await people.accounts.update(id, { roles: [role] });
    await expect
      .poll(async () => outcome(await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }))).error)
      .toBe("unmet_authentication_requirements");
    const own = await agent.open(`${flow.grantor.url}/account`);
    expect(own.text).toContain("You need a second step to go on");

    const authorization = (await (await post(`${flow.grantor.url}/oauth/device`, device, { scope: "openid" })).json()) as Record<
      string,
      string
    >;
    const holder = new Agent();
    const typed = await holder.submit(await holder.open(`${flow.grantor.url}/device`), { user_code: authorization.user_code ?? "" });
    const login = await holder.submit(typed, { confirm: "yes" });
    const step = await holder.submit(login, { email: person.email, password: person.password });
    at(step, "/second-factor");
    const consent = await submit(holder, step, { code: codeOf(person.secret) });
    await holder.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    const { status, body } = await answerOf(
      post(`${flow.grantor.url}/oauth/token`, device, {
        grant_type: "urn:ietf:params:oauth:grant-type:device_code",
        device_code: authorization.device_code ?? "",
      }),
    );
    expect([status, said(body.id_token as string).acr]).toEqual([200, TWO_FACTOR_ACR]);
  });

  it("says what it cannot reach, and takes names that it does not know for what they are: wishes", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await secured();
    const agent = new Agent();
    const { page } = await throughPassword(agent, client, person, { acr_values: PASSKEY_ACR });
    expect(page.text).toContain("A passkey is needed");
    expect(outcome(await cancel(agent, page))).toMatchObject({ error: "unmet_authentication_requirements" });

    const plain = await flow.grantor.person();
    const { page: end, proof } = await throughPassword(new Agent(), client, plain, { acr_values: "urn:mace:incommon:iap:silver 1" });
    expect(said((await tokensAt(client, end, proof)).id_token).acr).toBe(PASSWORD_ACR);
  });

  it("is looked after on the account's own pages", async () => {
    const { prisma } = flow.grantor.services.database;
    const person = await flow.grantor.person();
    const agent = new Agent();
    const url = `${flow.grantor.url}/account/two-step`;
    const off = await authorize(agent, url, person);
    expect(off.text).toContain("Two-step sign-in is off");
    const elsewhere = new Agent(); // whoever knows the password, and nothing else
    await authorize(elsewhere, url, person);
    const setUp = await agent.open(`${url}/set-up`);
    const secret = (/<code class="key" dir="ltr">([A-Z2-7 ]+)</.exec(setUp.text)?.[1] ?? "").replaceAll(" ", "");
    expect((await submit(agent, setUp, { code: "123" })).status).toBe(400);
    const codes = await submit(agent, setUp, { code: codeOf(secret) });
    expect([codes.status, [...codes.text.matchAll(/<li><code>/g)].length]).toEqual([200, 10]);
    expect((await elsewhere.open(url)).text).toContain('name="password"');
    const on = await agent.open(url);
    expect(on.text).toContain("Two-step sign-in is on");
    const form = (path: string) => on.forms.findIndex(({ action }) => action.endsWith(path));
    const fresh = await agent.submit(on, {}, form("/recovery-codes"));
    expect([fresh.status, fresh.text.includes("do not work any more")]).toEqual([200, true]);

    await prisma.credential.updateMany({ where: { accountId: person.id, kind: "password" }, data: { standsAlone: false } });
    const refused = await agent.submit(on, {}, form("/remove"));
    expect([refused.status, refused.text.includes("Choose a longer one first")]).toEqual([409, true]);
    await prisma.credential.updateMany({ where: { accountId: person.id, kind: "password" }, data: { standsAlone: true } });
    await flow.later(3_600, async () => {
      const again = await agent.submit(on, {}, form("/remove"));
      expect(again.text).toContain('name="password"'); // a sign-in that recent it is not
    });
    expect((await agent.submit(on, {}, form("/remove"))).text).toContain("The authenticator app was removed");
    const events = async () =>
      (await prisma.auditEvent.findMany({ where: { accountId: person.id }, select: { event: true } })).map(({ event }) => event);
    await expect.poll(events).toEqual(expect.arrayContaining(["second_factor.added", "second_factor.removed", "recovery_codes.made"]));
  });
});
