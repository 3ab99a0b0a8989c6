import { decodeJwt } from "jose";
import { beforeEach, expect, test } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { Authenticator } from "../support/authenticator.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, type Person, type Pkce, pkce, redeem, type SeededClient, type Tokens } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const INVALID = "This passkey does not open an account here.";

describeFlows("passkeys", (flow) => {
  let client: SeededClient;
  let person: Person;
  let authenticator: Authenticator;
  beforeEach(async () => {
    client = await flow.grantor.client();
    person = await flow.grantor.person();
    authenticator = new Authenticator({ origin: flow.grantor.url });
  });

  const at = (path: string) => `${flow.grantor.url}${path}`;
  const formOf = (page: Page, action: string) => page.forms.findIndex((form) => form.action === at(action) || form.action.endsWith(action));
  /** What the page's script does: asks for options with the fields of its form, and posts what the authenticator says. */
  async function ask(agent: Agent, page: Page, action: string) {
    const form = page.forms[formOf(page, action)];
    if (form === undefined) throw new Error(`no form for ${action} on ${page.url}:\n${page.text}`);
    const response = await agent.request(`${form.action}/options`, {
      method: "POST",
      body: new URLSearchParams(form.fields),
      headers: { Accept: "application/json" },
    });
    return { response, post: (credential: string, more = {}) => agent.submit(page, { credential, ...more }, formOf(page, action)) };
  }
  async function signedIn(): Promise<Agent> {
    const agent = new Agent();
    const page = await agent.open(at("/sign-in"));
    expect((await agent.submit(page, { email: person.email, password: person.password })).url).toBe(at("/account"));
    return agent;
  }
  async function addPasskey(): Promise<Agent> {
    const agent = await signedIn();
    const { response, post } = await ask(agent, await agent.open(at("/account/passkeys")), "/account/passkeys");
    const page = await post(authenticator.create((await response.json()) as never), { name: "My phone" });
    expect(page.text).toContain("Your passkey was added.");
    return agent;
  }
  async function toSignIn(agent: Agent, proof: Pkce = pkce(), parameters = {}): Promise<Page> {
    return agent.open(authorizationUrl(flow.grantor.url, client, proof, parameters));
  }

  test("signs in by itself; tokens say so, and the browser is known from then on", async () => {
    await addPasskey();
    const [agent, proof] = [new Agent(), pkce()];
    const { response, post } = await ask(agent, await toSignIn(agent, proof), "/passkey");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const consent = await post(authenticator.get((await response.json()) as never), { keep: "yes" });
    expect(consent.text).toContain('name="decision"');
    expect(Object.keys(agent.cookiesFor(flow.grantor.url))).toContain("grantor_device");
    const end = await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    const code = new URL(end.url).searchParams.get("code") ?? "";
    const tokens = (await (await redeem(flow.grantor, client, code, proof)).json()) as Tokens;
    expect(decodeJwt(tokens.id_token ?? "")).toMatchObject({
      sub: person.id,
      acr: "urn:grantor:acr:passkey",
      amr: ["hwk", "user", "mfa"],
    });
    expect(decodeJwt(tokens.access_token)).toMatchObject({ sub: person.id, acr: "urn:grantor:acr:passkey" });
  });

  test("is asked for after a password, and another's is not taken", async () => {
    await addPasskey();
    const theirs = authenticator;
    const ada = person;
    person = await flow.grantor.person();
    authenticator = new Authenticator({ origin: flow.grantor.url });
    await addPasskey();
    const [agent, proof] = [new Agent(), pkce()];
    const first = await toSignIn(agent, proof);
    const second = await agent.submit(first, { email: person.email, password: person.password });
    expect(second.url).toMatch(/\/second-factor$/);

    // What was signed for the first step, and what somebody else has signed, are no second factor.
    for (const by of [theirs, authenticator]) {
      const { response } = await ask(agent, first, "/passkey");
      const { post } = await ask(agent, second, "/second-factor/passkey");
      const refused = await post(by.get((await response.json()) as never));
      expect(refused.text).toContain("This passkey does not open this account.");
    }
    const { response, post } = await ask(agent, second, "/second-factor/passkey");
    const options = (await response.json()) as { allowCredentials: { id: string }[] };
    expect(options.allowCredentials.map(({ id }) => id)).toEqual([authenticator.credentials[0]?.id]);
    expect((await post(theirs.get(options as never))).text).toContain("This passkey does not open this account.");
    const again = await ask(agent, second, "/second-factor/passkey");
    const consent = await again.post(authenticator.get((await again.response.json()) as never));
    const end = await agent.submit(consent, { decision: "allow" }, consent.forms.length - 1);
    const tokens = (await (await redeem(flow.grantor, client, new URL(end.url).searchParams.get("code") ?? "", proof)).json()) as Tokens;
    const claims = decodeJwt(tokens.id_token ?? "");
    expect(claims).toMatchObject({ sub: person.id, acr: "urn:grantor:acr:passkey" });
    expect(claims.sub).not.toBe(ada.id);
    expect(new Set(claims.amr as string[])).toEqual(new Set(["pwd", "hwk", "user", "mfa"]));
  });

  test("a second step that nobody is at has no options and takes no passkey", async () => {
    await addPasskey();
    const agent = new Agent();
    const page = await toSignIn(agent);
    const [form] = page.forms;
    const uid = new URL(page.url).pathname;
    for (const path of ["/second-factor/passkey/options", "/second-factor/passkey"]) {
      const answer = await agent.request(at(`${uid}${path}`), { method: "POST", body: new URLSearchParams(form?.fields) });
      expect([answer.status, answer.headers.get("Location")]).toEqual([303, uid]);
    }
  });

  test("is refused in one sentence, whatever the reason, and the audit knows it", async () => {
    await addPasskey();
    const agent = new Agent();
    const page = await toSignIn(agent);
    const other = new Agent();
    const elsewhere = await ask(other, await toSignIn(other), "/passkey");
    const ofOther = authenticator.get((await elsewhere.response.json()) as never);
    const { response, post } = await ask(agent, page, "/passkey");
    const options = (await response.json()) as never;
    const credentials = [
      ofOther, // of another interaction
      "",
      "not json",
      authenticator.get(options, { userVerified: false }),
      authenticator.get(options, { origin: "https://evil.example" }),
      authenticator.get(options, { rpId: "evil.example" }),
      authenticator.get(options, { credentialId: "AAAAAAAAAAAAAAAAAAAAAA" }),
    ];
    for (const credential of credentials) {
      const refused = await post(credential);
      expect(refused.status).toBe(200);
      expect(refused.text).toContain(INVALID);
      expect(new URL(refused.url).pathname).toBe(new URL(page.url).pathname);
    }
    await flow.grantor.services.people.accounts.disable(person.id);
    expect((await post(authenticator.get(options))).text).toContain(INVALID);
    const outcomes = await waitFor("the audit", async () => {
      const where = { event: "sign_in", outcome: "failure", accountId: person.id };
      const events = await flow.grantor.services.database.prisma.auditEvent.findMany({ where });
      return events.length >= 4 && events.map(({ detail }) => (detail as { outcome: string }).outcome);
    });
    expect(outcomes).toContain("unusable_account");
  });

  test("another browser's sign-in hands out nothing and takes nothing", async () => {
    const page = await toSignIn(new Agent());
    const stranger = new Agent();
    const { forms } = await toSignIn(stranger);
    const { pathname } = new URL(page.url);
    for (const path of ["/passkey/options", "/passkey"]) {
      const answer = await stranger.request(at(`${pathname}${path}`), { method: "POST", body: new URLSearchParams(forms[0]?.fields) });
      expect(answer.status).toBe(400);
    }
    const forged = await stranger.request(at(`${pathname}/passkey`), { method: "POST", body: new URLSearchParams({ credential: "{}" }) });
    expect(forged.status).toBe(403);
  });

  test("whoever signs in with another passkey while somebody is signed in is that other person", async () => {
    await addPasskey();
    const somebody = await flow.grantor.person();
    const agent = new Agent();
    await authorize(agent, authorizationUrl(flow.grantor.url, client, pkce()), somebody);
    const { response, post } = await ask(agent, await toSignIn(agent, pkce(), { prompt: "login" }), "/passkey");
    const next = await agent.proceed(await post(authenticator.get((await response.json()) as never)));
    expect(next.text).toContain(person.email);
  });

  test("that is removed before its sign-in went on signs nobody in", async () => {
    await addPasskey();
    const agent = new Agent();
    const page = await toSignIn(agent);
    const { response } = await ask(agent, page, "/passkey");
    const form = page.forms[formOf(page, "/passkey")];
    const credential = authenticator.get((await response.json()) as never);
    const body = new URLSearchParams({ ...form?.fields, credential });
    const shown = await agent.request(form?.action ?? "", { method: "POST", body });
    expect([shown.status, shown.headers.get("Location")]).toEqual([303, expect.stringContaining("/oauth/authorize/")]);
    const { passkeys } = flow.grantor.services;
    for (const { id } of await passkeys.list(person.id)) await passkeys.remove(person.id, id);
    const end = await agent.open(new URL(shown.headers.get("Location") ?? "", flow.grantor.url).href);
    expect([end.status, end.text.includes('name="decision"')]).toEqual([400, false]);
    expect((await agent.open(at("/account"))).url).not.toBe(at("/account"));
  });

  test("is added, named and removed by who has signed in lately, in that session alone", async () => {
    const agent = await addPasskey();
    const id = authenticator.credentials[0]?.id ?? "";
    const page = await agent.open(at("/account/passkeys"));
    expect(page.text).toContain("My phone");
    const renamed = await agent.submit(page, { name: "Old phone" }, formOf(page, "/account/passkeys/rename"));
    expect(renamed.text).toContain("Old phone");
    expect((await agent.submit(page, { name: " " }, formOf(page, "/account/passkeys/rename"))).text).toContain("Type a name.");
    expect((await agent.submit(page, { id: "gone", name: "x" }, formOf(page, "/account/passkeys/rename"))).status).toBe(404);
    expect((await agent.submit(page, { id: "gone" }, formOf(page, "/account/passkeys/remove"))).text).toContain("Old phone");

    // What was made in one session counts in no other.
    const { response } = await ask(agent, page, "/account/passkeys");
    const another = new Authenticator({ origin: flow.grantor.url });
    const made = another.create((await response.json()) as never);
    const elsewhere = await flow.grantor.person();
    const mine = person;
    person = elsewhere;
    const stranger = await signedIn();
    const { post } = await ask(stranger, await stranger.open(at("/account/passkeys")), "/account/passkeys");
    const refused = await post(made);
    expect([refused.status, refused.text.includes("That took too long")]).toEqual([400, true]);
    person = mine;

    await flow.later(16 * 60, async () => {
      for (const action of ["", "/options", "/rename", "/remove"]) {
        const answer = await agent.request(at(`/account/passkeys${action}`), {
          method: "POST",
          body: new URLSearchParams({ ...page.forms[0]?.fields, id, name: "x", credential: made }),
        });
        expect([action, answer.status, answer.headers.get("Location")]).toEqual([
          action,
          303,
          expect.stringContaining("/sign-in?fresh=1&return_to=/account/passkeys"),
        ]);
      }
    });
    expect((await agent.submit(page, {}, formOf(page, "/account/passkeys/remove"))).text).toContain("The passkey was removed.");
    expect(await flow.grantor.services.passkeys.list(person.id)).toEqual([]);
  });

  test("tries are counted by address", async () => {
    const agent = new Agent();
    const page = await toSignIn(agent);
    const form = page.forms[formOf(page, "/passkey")];
    const statuses = new Set<number>();
    for (let tries = 0; tries < 65; tries++) {
      const answer = await agent.request(form?.action ?? "", { method: "POST", body: new URLSearchParams(form?.fields) });
      statuses.add(answer.status);
      await answer.body?.cancel();
      if (answer.status === 429) expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
    }
    expect(statuses).toEqual(new Set([303, 429]));
  });

  test("a server that has another host name than before says at its start how many rest", async () => {
    const data = {
      id: `of-before-${person.id}`,
      accountId: person.id,
      publicKey: new Uint8Array(1),
      rpId: "before.example.org",
      name: "Phone",
    };
    await flow.grantor.services.database.prisma.passkey.create({ data });
    await flow.grantor.server.restart();
    const said = /"passkeys":1,.*passkeys were made for another host name than ISSUER has/;
    await waitFor("the line at start", () => said.test(flow.grantor.server.logs()));
    const agent = await signedIn();
    const page = await agent.open(at("/account/passkeys"));
    expect(page.text).toContain("made when this server had another address");
    expect((await agent.submit(page, {}, formOf(page, "/account/passkeys/remove"))).text).toContain("The passkey was removed.");
  });
});
