/** `/account`: what people look after by themselves, as a browser without JavaScript sees it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  authorizationUrl,
  authorize,
  type Person,
  pkce,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const FRESH = "a quite different row of words";

describeFlows("account pages", (flow) => {
  let person: Person;
  let agent: Agent;
  let app: SeededClient;
  let tokens: Tokens;
  const at = (path: string) => `${flow.grantor.url}/account${path}`;
  const open = (path: string, of = agent) => of.open(at(path));
  const fill = async (path: string, typed: Record<string, string>, of = agent): Promise<Page> => of.submit(await open(path, of), typed);
  const isSignInPage = (page: Page) => page.status === 200 && page.text.includes('name="password"') && page.text.includes('name="email"');

  /** The link of the newest mail to an address; the outbox names its files by time. */
  async function linkTo(email: string): Promise<string> {
    const outbox = join(flow.grantor.server.env.DATA_DIR as string, "outbox");
    const text = await waitFor(`a mail to ${email}`, () => {
      const mails = readdirSync(outbox).filter((file) => file.endsWith(".eml"));
      const texts = mails.sort().map((file) => readFileSync(join(outbox, file), "utf8"));
      return texts.findLast((each) => each.includes(`To: ${email}`) && each.includes("/account/email/confirm?token="));
    });
    return /http\S+\/account\/email\/confirm\?token=[\w-]+/.exec(text)?.[0] ?? "";
  }

  beforeEach(async () => {
    [person, app, agent] = [await flow.grantor.person(), await flow.grantor.client(), new Agent()];
    ({ tokens } = await signIn(flow.grantor, app, person, { agent }));
  });

  test("whoever is not signed in is sent to the sign-in page, and comes back", async () => {
    for (const path of ["", "/profile", "/email", "/password", "/events", "/data", "/delete", "/email/confirm"]) {
      const stranger = new Agent();
      const page = await open(path, stranger);
      expect([path, isSignInPage(page)]).toEqual([path, true]);
      if (path === "/events") {
        const back = await stranger.submit(page, { email: person.email, password: person.password });
        expect([back.url, back.status]).toEqual([at("/events"), 200]);
      }
    }
  });

  test("the overview says what there is, and what would make it safer", async () => {
    const page = await open("");
    expect(page.status).toBe(200);
    for (const words of [person.email, "Ada Lovelace", "What would make your account safer", "Security events"])
      expect(page.text).toContain(words);
  });

  test("a profile is saved and goes to applications; what is wrong stands beside its field with what was typed", async () => {
    const wrong = await fill("/profile", { name: "Ada", website: "nowhere" });
    expect(wrong.status).toBe(400);
    expect(wrong.text).toContain('value="nowhere"');
    expect(wrong.text).toContain('id="website-error"');
    const saved = await agent.submit(wrong, {
      name: "Ada King",
      given_name: "Ada",
      website: "https://ada.example",
      zoneinfo: "Europe/London",
      locale: "fr",
    });
    expect([saved.url, saved.text.includes("Your profile is saved.")]).toEqual([`${at("/profile")}?done=profile_saved`, true]);
    const scope = "openid profile";
    const client = await flow.grantor.client({ metadata: { scope } });
    const again = await signIn(flow.grantor, client, person, { agent, parameters: { scope } });
    expect(await (await userinfo(flow.grantor, again.tokens.access_token)).json()).toMatchObject({
      name: "Ada King",
      given_name: "Ada",
      website: "https://ada.example",
      zoneinfo: "Europe/London",
      locale: "fr",
    });
  });

  test("nobody sets what is not theirs to set: an address, its verification, a role", async () => {
    await fill("/profile", { name: "Ada", email: "x@example.org", email_verified: "true", roles: "admin", phone_number_verified: "true" });
    const account = await flow.stored.account(person.id);
    expect(account).toMatchObject({ email: person.email, roles: [], claims: {} });
  });

  test("what is taken back of an application that never was changes nothing", async () => {
    const { forms } = await agent.open(at("/profile"));
    const csrf = forms.find(({ fields }) => "csrf" in fields)?.fields.csrf ?? "";
    for (const client_id of ["", "nobody", "x".repeat(10_000)]) {
      const body = new URLSearchParams({ csrf, client_id });
      expect((await agent.open(at("/applications/remove"), { method: "POST", body })).status).toBe(200);
    }
  });

  test("another address counts when its owner presses the button at its link, signed in", async () => {
    const fresh = `fresh-${person.email}`;
    const sent = await fill("/email", { email: fresh });
    expect([sent.status, sent.text.includes(fresh)]).toEqual([200, true]);
    const link = await linkTo(fresh);

    // The link of one account is nothing to another, and opens nothing by itself.
    const other = new Agent();
    await signIn(flow.grantor, app, await flow.grantor.person(), { agent: other });
    expect((await other.open(link)).status).toBe(400);
    const page = await agent.open(link);
    expect([page.url, page.text.includes(fresh)]).toEqual([at("/email/confirm"), true]);
    expect((await flow.stored.account(person.id)).email).toBe(person.email);

    // In a browser that is not signed in yet, it comes back after the sign-in.
    const elsewhere = new Agent();
    const signedIn = await elsewhere.submit(await elsewhere.open(link), { email: person.email, password: person.password });
    expect([signedIn.url, signedIn.status]).toEqual([at("/email/confirm"), 200]);
    const done = await elsewhere.submit(signedIn, {});
    expect(done.text).toContain("Your e-mail address is changed.");
    expect(done.text).toContain(fresh);
    expect((await agent.submit(page, {})).status).toBe(400); // used
    for (const token of ["", "a;b", "%0D%0AX: y", "%E4%B8%AD", "x".repeat(200)])
      expect((await agent.open(at(`/email/confirm?token=${token}`))).status).toBe(400);
    expect((await signIn(flow.grantor, app, { ...person, email: fresh })).tokens.access_token).toBeTruthy();
  });

  test("whose address it is does not show when it is asked for", async () => {
    const taken = await flow.grantor.person();
    const plain = (page: Page, email: string) => page.text.replaceAll(email, "").replace(/nonce="[^"]*"|value="[^"]*"/g, "");
    const unknown = `unknown-${person.email}`;
    const answers = [await fill("/email", { email: unknown }), await fill("/email", { email: taken.email })];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(plain(answers[1] as Page, taken.email)).toBe(plain(answers[0] as Page, unknown));
  });

  test("sensitive pages ask for a recent sign-in, and lead back", async () => {
    await flow.later(700, async () => {
      for (const path of ["/email", "/data", "/delete"]) {
        const page = await open(path);
        expect([path, isSignInPage(page)]).toEqual([path, true]);
      }
      const posted = await agent.open(at("/delete"), { method: "POST", body: new URLSearchParams({ csrf: "x", email: person.email }) });
      expect(posted.status).toBe(403);
      expect((await open("/profile")).url).toBe(at("/profile"));
      const back = await agent.submit(await open("/email"), { email: person.email, password: person.password });
      expect([back.url, back.status]).toEqual([at("/email"), 200]);
    });
  });

  test("another password ends everybody else's sessions, and not this one", async () => {
    const elsewhere = new Agent();
    const { tokens: theirs } = await signIn(flow.grantor, app, person, { agent: elsewhere });
    const wrong = await fill("/password", { current: "not the password at all", password: FRESH });
    expect([wrong.status, wrong.text.includes('id="current-error"')]).toEqual([400, true]);
    expect((await userinfo(flow.grantor, theirs.access_token)).status).toBe(200);
    const done = await agent.submit(wrong, { current: person.password, password: FRESH });
    expect(done.text).toContain("Your password is changed.");
    expect(isSignInPage(await open("", elsewhere))).toBe(true);
    expect((await userinfo(flow.grantor, theirs.access_token)).status).toBe(401);
    expect((await refresh(flow.grantor, app, theirs.refresh_token as string)).status).toBe(400);
    expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(200);
    expect((await refresh(flow.grantor, app, tokens.refresh_token as string)).status).toBe(200);
    expect((await open("")).url).toBe(at(""));
  });

  test("what happened is there in words, newest first; so is what is stored, as a file", async () => {
    await fill("/profile", { name: "Ada", zoneinfo: "Asia/Tokyo" });
    const refused = new Agent();
    await authorize(refused, authorizationUrl(flow.grantor.url, app, pkce()), { ...person, password: "not the password at all" });
    const page = await waitFor("the events", async () => {
      const found = await open("/events");
      return found.text.includes("Somebody could not sign in") ? found : undefined;
    });
    for (const words of ["You signed in", "With your password", "Your profile was changed", "Test application", "GMT+9"])
      expect(page.text).toContain(words);
    const file = await fill("/data", {});
    expect([file.status, file.headers.get("content-disposition")]).toEqual([200, 'attachment; filename="my-account.json"']);
    const data = JSON.parse(file.text) as { security_events: { event: string }[] };
    expect(data).toMatchObject({
      profile: { sub: person.id, email: person.email, name: "Ada" },
      connected_applications: [{ client_id: app.client_id }],
      ways_to_sign_in: [{ kind: "password" }],
    });
    expect(data.security_events.map(({ event }) => event)).toContain("profile.changed");
    expect(file.text).not.toContain("argon2");
    expect((await agent.open(`${at("/events")}?before=${encodeURIComponent("'; DROP")}`)).status).toBe(200);
  });

  test("a deletion ends everything at once; whoever signs in is asked, and may call it off", async () => {
    const slip = await fill("/delete", { email: "somebody@else.example" });
    expect([slip.status, slip.text.includes('id="email-error"')]).toEqual([400, true]);
    const done = await agent.submit(slip, { email: person.email.toUpperCase() });
    expect([done.status, done.text.includes("going to be deleted")]).toEqual([200, true]);
    expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(401);
    expect((await refresh(flow.grantor, app, tokens.refresh_token as string)).status).toBe(400);
    expect(isSignInPage(await open(""))).toBe(true);

    const asked = await authorize(agent, authorizationUrl(flow.grantor.url, app, pkce()), person);
    expect([asked.status, asked.text.includes("Do you want to keep the account?")]).toEqual([200, true]);
    expect(isSignInPage(await open("", agent))).toBe(true); // nobody is signed in by that
    const left = await agent.submit(asked, { deletion: "leave" });
    expect(new URL(left.url).searchParams.get("error")).toBe("access_denied");

    const again = await authorize(agent, authorizationUrl(flow.grantor.url, app, pkce()), person);
    expect((await agent.submit(again, { deletion: "perhaps" })).status).toBe(400);
    const kept = await agent.submit(again, { deletion: "undo" });
    expect(new URL(kept.url).searchParams.has("code")).toBe(true);
    expect((await open("")).text).toContain(person.email);
  });

  test("once its time has come, the account is gone for good", async () => {
    await fill("/delete", { email: person.email });
    const { database, people } = flow.grantor.services;
    await database.prisma.account.update({ where: { id: person.id }, data: { deleteAt: new Date() } });
    await people.deletion.carryOut();
    const page = await authorize(new Agent(), authorizationUrl(flow.grantor.url, app, pkce()), person);
    expect([page.status, page.text.includes("Do you want to keep the account?")]).toEqual([401, false]);
  });
});
