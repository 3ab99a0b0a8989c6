/** Signing in with another provider, as a browser goes: a second Grantor, one that misbehaves, and one that looks like GitHub. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { generateSync } from "otplib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { grantor, grantorJson } from "../support/command-line.ts";
import { describeFlows } from "../support/flows.ts";
import {
  authorizationUrl,
  authorize,
  type Grantor,
  type Person,
  pkce,
  redeem,
  type SeededClient,
  startGrantor,
  type Tokens,
} from "../support/grantor.ts";
import { noteSecret } from "../support/secrets-watch.ts";
import { expectErrorPage } from "../support/soundness.ts";
import { type Stores, stores } from "../support/stores.ts";
import { startUpstream, type TestUpstream, UPSTREAM_CLIENT } from "../support/upstream.ts";
import { waitFor } from "../support/wait-for.ts";

/** One for both arrangements of stores. */
let elsewhere: Grantor;
let elsewhereStores: Stores;
let upstream: TestUpstream;
let people = 0;

beforeAll(async () => {
  upstream = await startUpstream();
  elsewhereStores = await stores[0].open();
  elsewhere = await startGrantor(elsewhereStores);
});
afterAll(async () => {
  await elsewhere?.[Symbol.asyncDispose]();
  await elsewhereStores?.close();
  await upstream?.[Symbol.asyncDispose]();
});

describeFlows("other providers", (flow) => {
  let client: SeededClient;
  const providers = () => flow.grantor.services.identityProviders;

  beforeAll(async () => {
    client = await flow.grantor.client({ firstParty: true });
    const callback = `${flow.grantor.url}/federation/elsewhere/callback`;
    const at = await elsewhere.client({ firstParty: true, metadata: { redirect_uris: [callback], scope: "openid profile email" } });
    const { client_id, client_secret } = at;
    await providers().create({
      id: "elsewhere",
      kind: "oidc",
      name: "Elsewhere",
      issuer: elsewhere.url,
      client_id,
      client_secret,
      link_by_email: true,
    });
    await providers().create({ id: "acme", kind: "oidc", name: "Acme", issuer: upstream.issuer, ...UPSTREAM_CLIENT });
    await providers().create({ id: "github", kind: "github", name: "GitHub", base_url: upstream.issuer, ...UPSTREAM_CLIENT });
    await waitFor("the server to know the providers", async () => (await signInPage(new Agent())).text.includes("federation/github"));
  });

  const signInPage = (agent: Agent, parameters: Record<string, string> = {}, proof = pkce()) =>
    agent.open(authorizationUrl(flow.grantor.url, client, proof, parameters));
  /** Presses the provider's button; the page that comes is the provider's to show. */
  function press(agent: Agent, page: Page, provider: string, typed: Record<string, string> = {}): Promise<Page> {
    const action = new RegExp(`formaction="([^"]*/federation/${provider})"`).exec(page.text)?.[1];
    if (action === undefined) throw new Error(`no button for ${provider} on ${page.url}:\n${page.text}`);
    const body = new URLSearchParams({ ...page.forms[0]?.fields, email: "", password: "", ...typed });
    return agent.open(`${flow.grantor.url}${action}`, { method: "POST", body });
  }
  /** Where the misbehaving one, which asks nobody, sends the browser. */
  async function answerOf(page: Page): Promise<string> {
    expect([page.status, page.url.startsWith(upstream.issuer)]).toEqual([0, true]);
    return (await fetch(page.url, { redirect: "manual" })).headers.get("Location") ?? "";
  }
  const visit = async (agent: Agent, page: Page, provider = "acme") => agent.open(await answerOf(await press(agent, page, provider)));
  const somebody = () => {
    people += 1;
    upstream.wrongs = {};
    const email = `somebody-${people}@example.org`;
    upstream.person = { sub: `somebody-${people}`, email, email_verified: true, name: "Some Body" };
    upstream.user = { id: people, login: `somebody-${people}` };
    upstream.emails = [{ email, primary: true, verified: true }];
    return email;
  };
  const codeOf = (page: Page) => new URL(page.url).searchParams.get("code") ?? "";
  async function tokensAt(page: Page, proof: ReturnType<typeof pkce>): Promise<Tokens> {
    const response = await redeem(flow.grantor, client, codeOf(page), proof);
    expect(response.status).toBe(200);
    return (await response.json()) as Tokens;
  }
  /** A second Grantor's pages, in the same person's browser. */
  async function throughElsewhere(person: Person, page: Page, agent = new Agent()): Promise<string> {
    const end = await authorize(agent, page.url, person);
    expect(end.url).toContain(`${flow.grantor.url}/federation/elsewhere/callback?`);
    return end.url;
  }
  const mailsTo = (email: string) => {
    const outbox = join(flow.grantor.server.env.DATA_DIR as string, "outbox");
    const mails = readdirSync(outbox).filter((file) => file.endsWith(".eml"));
    return mails.map((file) => readFileSync(join(outbox, file), "utf8")).filter((mail) => mail.includes(`To: ${email}`));
  };

  it("signs in with a second Grantor: makes an account, knows it again, and says so truly", async () => {
    const person = await elsewhere.person();
    const [agent, there] = [new Agent(), new Agent()];
    const proof = pkce();
    const page = await press(agent, await signInPage(agent, {}, proof), "elsewhere", { email: person.email, keep: "yes" });
    expect(new URL(page.url).searchParams.get("login_hint")).toBe(person.email);
    const callback = await throughElsewhere(person, page, there);
    const end = await agent.open(callback);
    const tokens = await tokensAt(end, proof);
    const account = await flow.stored.account(person.email);
    expect(account).toMatchObject({ emailVerified: true, name: "Ada Lovelace" });
    expect(account.id).not.toBe(person.id);
    const claims = decodeJwt(tokens.id_token ?? "");
    expect(claims).toMatchObject({ sub: account.id, amr: ["fed"], acr: "urn:grantor:acr:password" });

    const proofAgain = pkce();
    const other = new Agent();
    const again = await press(other, await signInPage(other, {}, proofAgain), "elsewhere");
    const second = await tokensAt(await other.open(await throughElsewhere(person, again, there)), proofAgain);
    expect(decodeJwt(second.id_token ?? "").sub).toBe(account.id);
  });

  it("asks the provider for a new sign-in when the application asks for one, and checks that there was one", async () => {
    const person = await elsewhere.person();
    const [agent, there] = [new Agent(), new Agent()];
    const first = await press(agent, await signInPage(agent), "elsewhere");
    expect(codeOf(await agent.open(await throughElsewhere(person, first, there)))).not.toBe("");
    const fresh = await press(agent, await signInPage(agent, { prompt: "login" }), "elsewhere");
    expect(new URL(fresh.url).searchParams.get("prompt")).toBe("login");
    expect((await there.open(fresh.url)).text).toContain('name="password"');
    expect(codeOf(await agent.open(await throughElsewhere(person, fresh, there)))).not.toBe("");

    somebody();
    const page = await signInPage(new Agent(), { max_age: "60" });
    expect(page.text).toContain("federation/acme");
    const stale = new Agent();
    const refused = await visit(stale, await signInPage(stale, { prompt: "login" }));
    expect(refused.text).toContain("did not confirm that you just did");
    expect((await signInPage(new Agent(), { prompt: "login" })).text).not.toContain("federation/github");
  });

  it("refuses an answer that comes twice, to another browser, from another provider, or to nobody", async () => {
    somebody();
    const agent = new Agent();
    const page = await signInPage(agent);
    const answer = await answerOf(await press(agent, page, "acme"));
    const tokenRequests = upstream.tokenRequests;
    await expectErrorPage(flow, await new Agent().open(answer), 400, "no longer open");
    await expectErrorPage(flow, await agent.open(answer.replace("/acme/", "/github/")), 400, "no longer open");
    for (const path of ["acme/callback", "acme/callback?state=x&code=y", "acme/callback?state=a&state=b", "nobody/callback?state=%00"])
      await expectErrorPage(flow, await agent.open(`${flow.grantor.url}/federation/${path}`), 400, "no longer open");
    agent.setCookie("grantor_federation_abcdefgh", "made up");
    for (const id of ["a%3Bb", "a%0Ab", "%00", "%E4%B8%AD"])
      await expectErrorPage(flow, await agent.open(`${flow.grantor.url}/federation/${id}/callback?state=abcdefgh`), 400, "no longer open");
    expect(upstream.tokenRequests).toBe(tokenRequests);
    expect(codeOf(await agent.open(answer))).not.toBe("");
    await expectErrorPage(flow, await agent.open(answer), 400, "no longer open");
  });

  it("takes the result where the sign-in was begun alone, once", async () => {
    somebody();
    const agent = new Agent();
    const page = await signInPage(agent);
    const step = `${page.url}/federated`;
    const answer = await answerOf(await press(agent, page, "acme"));
    const back = await agent.request(answer);
    expect([back.status, new URL(back.headers.get("Location") ?? "", answer).href]).toEqual([303, step]);
    // Another browser with a sign-in of its own, and one without any.
    const other = new Agent();
    await signInPage(other);
    await expectErrorPage(flow, await other.open(step), 400, "no longer open");
    await expectErrorPage(flow, await new Agent().open(step), 400, "no longer open");
    expect(codeOf(await agent.open(step))).not.toBe("");
    expect((await agent.open(step)).status).toBe(400); // finished
    const idle = new Agent();
    const waiting = await signInPage(idle);
    expect((await idle.open(`${waiting.url}/federated`)).text).toContain('name="password"');
  });

  it.each([
    ["denied", { answer: { code: undefined, error: "access_denied" } }, "You were not signed in at Acme."],
    ["refused", { claims: { nonce: "another" } }, "could not be checked"],
    ["unavailable", { status: 503 }, "cannot be reached right now"],
    ["unverified", { claims: { email_verified: false } }, "has not confirmed your e-mail address"],
  ])("comes back to the sign-in page, in words, when it is %s", async (_what, wrongs, words) => {
    somebody();
    upstream.wrongs = wrongs as typeof upstream.wrongs;
    const agent = new Agent();
    const page = await visit(agent, await signInPage(agent));
    expect([page.status, page.text.includes(words), page.text.includes('role="alert"')]).toEqual([200, true, true]);
    upstream.wrongs = {};
    expect(codeOf(await visit(agent, page))).not.toBe("");
  });

  it("is a page in words when the provider is down", async () => {
    await providers().create({ id: "down", kind: "oidc", name: "Down", issuer: "http://127.0.0.1:1", ...UPSTREAM_CLIENT });
    const agent = new Agent();
    const page = await waitFor("the server to know it", async () => {
      const shown = await signInPage(agent);
      return shown.text.includes("federation/down") ? shown : undefined;
    });
    const back = await press(agent, page as Page, "down");
    expect([back.status, back.text.includes("Down</bdi> cannot") || back.text.includes("Down cannot be reached")]).toEqual([200, true]);
    await providers().delete("down");
  });

  it("connects accounts by an address that both have verified, tells the owner, and never skips their second factor", async () => {
    const person = await elsewhere.person();
    const { accounts } = flow.grantor.services.people;
    const { id } = await accounts.create({ email: person.email, emailVerified: true });
    const { totp } = flow.grantor.services.secondFactors;
    const { secret, sealed } = totp.begin(id, person.email);
    noteSecret(secret);
    const now = Math.floor(Date.now() / 1000);
    expect(await totp.confirm(id, sealed, generateSync({ secret, epoch: now - 30 }))).toBe(true);
    const agent = new Agent();
    const proof = pkce();
    const asked = await agent.open(await throughElsewhere(person, await press(agent, await signInPage(agent, {}, proof), "elsewhere")));
    expect([asked.status, new URL(asked.url).pathname.endsWith("/second-factor")]).toEqual([200, true]);
    const form = asked.forms.findIndex(({ fields }) => "code" in fields);
    const end = await agent.submit(asked, { code: generateSync({ secret, epoch: Math.floor(Date.now() / 1000) }) }, form);
    const { id_token } = await tokensAt(end, proof);
    expect(decodeJwt(id_token ?? "")).toMatchObject({ sub: id, amr: ["fed", "otp", "mfa"], acr: "urn:grantor:acr:two-factor" });
    await waitFor("the mail", async () => mailsTo(person.email).some((mail) => mail.includes("Another way to sign in was added")));
  });

  it("is connected and disconnected on the account's page, and never as the last way in", async () => {
    const person = await flow.grantor.person();
    const agent = new Agent();
    await authorize(agent, authorizationUrl(flow.grantor.url, client, pkce()), person);
    somebody();
    const page = await agent.open(`${flow.grantor.url}/account/providers`);
    expect(page.headers.get("Content-Security-Policy")).not.toContain("form-action");
    const connect = page.forms.findIndex(({ action }) => action.endsWith("/connect"));
    const away = await agent.submit(page, { provider: "acme" }, connect);
    const answer = await answerOf(away);
    // Somebody else's browser, signed in as somebody else.
    const other = new Agent();
    await authorize(other, authorizationUrl(flow.grantor.url, client, pkce()), await flow.grantor.person());
    await expectErrorPage(flow, await other.open(answer), 400, "no longer open");
    const done = await agent.open(answer);
    expect([done.status, done.text.includes("The provider is connected."), done.text.includes(upstream.person.email as string)]).toEqual([
      200,
      true,
      true,
    ]);
    await waitFor("the mail", async () => mailsTo(person.email).some((mail) => mail.includes("Another way to sign in was added")));

    const elsewhereAgent = new Agent();
    const proof = pkce();
    const { id_token } = await tokensAt(await visit(elsewhereAgent, await signInPage(elsewhereAgent, {}, proof)), proof);
    expect(decodeJwt(id_token ?? "").sub).toBe(person.id);

    const disconnect = done.forms.findIndex(({ fields }) => "issuer" in fields);
    expect((await agent.submit(done, {}, disconnect)).text).toContain("The provider is disconnected.");
    expect(await flow.grantor.services.database.prisma.federatedIdentity.count({ where: { accountId: person.id } })).toBe(0);

    const only = new Agent();
    somebody();
    await visit(only, await signInPage(only));
    const own = await only.open(`${flow.grantor.url}/account/providers`);
    const kept = await only.submit(
      own,
      {},
      own.forms.findIndex(({ fields }) => "issuer" in fields),
    );
    expect([kept.status, kept.text.includes('role="alert"')]).toEqual([409, true]);
  });

  it("signs in with GitHub", async () => {
    const email = somebody();
    const agent = new Agent();
    const proof = pkce();
    const { id_token } = await tokensAt(await visit(agent, await signInPage(agent, {}, proof), "github"), proof);
    const { id } = await flow.stored.account(email);
    expect(decodeJwt(id_token ?? "").sub).toBe(id);
  });
});

it("a provider is made, changed and taken away by the command line, which never shows its secret", async () => {
  const { env } = elsewhere.server;
  const client = await elsewhere.client();
  const page = async () => new Agent().open(authorizationUrl(elsewhere.url, client, pkce()));
  const offered = async () => (await page()).text.includes("federation/by-command");
  const secret = "what-the-provider-gave-us";
  noteSecret(secret);
  const made = ["provider", "create", "by-command", "--name", "By command", "--issuer", upstream.issuer, "--client-id", "x"];
  const more = ["--client-secret", "-", "--claim", "nickname=alias", "--roles-claim", "groups", "--role", "staff=employee"];
  expect(await grantorJson(env, [...made, ...more], `${secret}\n`)).toMatchObject({
    id: "by-command",
    redirect_uri: `${elsewhere.url}/federation/by-command/callback`,
    claims: { nickname: "alias", email: "email" },
    roles: { claim: "groups", values: { staff: ["employee"] } },
    link_by_email: false,
  });
  await waitFor("the server to offer it", offered);
  const shown = await grantor(env, ["provider", "update", "by-command", "--no-role", "--link-by-email", "--disabled"]);
  expect([shown.status, shown.stdout.includes("disabled"), shown.stdout.includes(secret)]).toEqual([0, true, false]);
  await waitFor("the server to offer it no more", async () => !(await offered()));
  const wrong = await grantor(env, ["provider", "update", "by-command", "--issuer", "http://plain.example", "--name", ""]);
  expect([wrong.status, wrong.stderr.includes("issuer: must"), wrong.stderr.includes("name: must")]).toEqual([1, true, true]);
  const row = await elsewhere.services.database.prisma.identityProvider.findUniqueOrThrow({ where: { id: "by-command" } });
  expect(JSON.stringify(row)).not.toContain(secret);
  expect((await grantor(env, ["provider", "delete", "by-command"])).status).toBe(0);
  expect((await grantor(env, ["provider", "show", "by-command"])).status).toBe(1);
});
