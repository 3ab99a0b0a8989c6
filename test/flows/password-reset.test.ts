/** What people do about their passwords over HTTP, with mail that a real mail server receives; and what strangers cannot learn by it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Agent, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, type Grantor, type Person, pkce, refresh, signIn, startGrantor } from "../support/grantor.ts";
import { type MailServer, startMailServer } from "../support/mail-server.ts";
import { type Stores, stores } from "../support/stores.ts";

const CHOSEN = "another few words of mine";

let mail: MailServer;
let networks = 0;
/** Everybody behind the proxy has a network of their own. */
const elsewhere = (): Record<string, string> => {
  networks += 1;
  return { "X-Forwarded-For": `10.${networks >> 8}.${networks & 255}.1` };
};

afterAll(() => mail?.[Symbol.asyncDispose]());

const withMail = async () => {
  mail ??= await startMailServer();
  return { SMTP_URL: mail.url, MAIL_FROM: "Grantor <no-reply@id.example>", TRUST_PROXY: "127.0.0.1,::1" };
};

function submit(agent: Agent, page: Page, typed: Record<string, string>): Promise<Page> {
  const [form] = page.forms;
  const body = new URLSearchParams({ ...form?.fields, ...typed });
  return agent.open(form?.action ?? "", { method: "POST", body, headers: elsewhere() });
}

describeFlows(
  "passwords",
  (flow) => {
    const hrefOf = (page: Page, path: string) => {
      const href = [...page.text.matchAll(/href="([^"]*)"/g)].map(([, found = ""]) => found).find((found) => found.startsWith(path));
      if (href === undefined) throw new Error(`no link to ${path} on\n${page.text}`);
      return new URL(href.replaceAll("&amp;", "&"), flow.grantor.url).href;
    };
    const tokenFor = async (email: string, after?: string) => {
      await expect.poll(() => mail.to(email)?.token ?? after).not.toBe(after);
      return mail.to(email)?.token as string;
    };
    const linkOf = (token: string) => `${flow.grantor.url}/reset-password?token=${token}`;
    /** Asks for a link from the start. */
    async function ask(email: string, agent = new Agent()): Promise<string> {
      const before = mail.to(email)?.token;
      const page = await submit(agent, await agent.open(`${flow.grantor.url}/reset-password`), { email });
      expect(page.text).toContain("Check your mail");
      return tokenFor(email, before);
    }

    test("a person who has forgotten theirs comes back to the application with a new one, and everything before has ended", async () => {
      const { grantor } = flow;
      const client = await grantor.client();
      const person = await grantor.person();
      const { agent: elsewhereSignedIn, tokens } = await signIn(grantor, client, person);

      const agent = new Agent();
      const login = await agent.open(authorizationUrl(grantor.url, client, pkce()));
      expect(login.text).toContain("I forgot my password");
      const asking = await agent.open(hrefOf(login, "/reset-password"));
      const sent = await submit(agent, asking, { email: person.email });
      expect(sent.text).toContain("Check your mail");
      expect(sent.text).not.toContain("outbox");

      const token = await tokenFor(person.email);
      const choosing = await agent.open(linkOf(token));
      expect(choosing.text).toContain(person.email);
      await agent.open(linkOf(token)); // as a mail scanner does
      expect((await refresh(grantor, client, tokens.refresh_token as string)).status).toBe(200);
      const weak = await submit(agent, choosing, { password: "passwordpassword" });
      expect(weak.status).toBe(400);
      expect(weak.text).toContain("tried first");
      const done = await submit(agent, weak, { password: CHOSEN });
      expect(done.status).toBe(200);
      expect(done.text).toContain("Your new password is set");

      // Nobody was signed in by it, and everybody was signed out.
      expect((await agent.open(`${grantor.url}/account`)).text).toContain('name="password"');
      expect((await elsewhereSignedIn.open(`${grantor.url}/account`)).text).toContain('name="password"');
      const { access_token } = tokens;
      const userinfo = await fetch(`${grantor.url}/oauth/userinfo`, { headers: { Authorization: `Bearer ${access_token}` } });
      expect(userinfo.status).toBe(401);

      const back = await agent.open(hrefOf(done, "/interaction/"));
      const wrong = await submit(agent, back, { email: person.email, password: person.password });
      expect(wrong.status).toBe(401);
      const arrived = await agent.proceed(await submit(agent, wrong, { email: person.email, password: CHOSEN }));
      expect(new URL(arrived.url).searchParams.get("code")).toBeTruthy();
      const used = await agent.open(linkOf(token));
      expect(used.status).toBe(400);
      expect(used.text).toContain("This link does not work any more");
      const { auditEvent } = grantor.services.database.prisma;
      const found = () => auditEvent.count({ where: { event: "password.reset", outcome: "success", accountId: person.id } });
      await expect.poll(found).toBe(1);
    });

    test("a link is used once, by whoever comes first, and not when it is old", async () => {
      const { grantor } = flow;
      const { email } = await grantor.person();
      const agent = new Agent();
      const token = await ask(email, agent);
      const choosing = await agent.open(linkOf(token));
      const pages = await Promise.all(Array.from({ length: 6 }, (_, n) => submit(agent, choosing, { password: `${CHOSEN} ${n}` })));
      expect(pages.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400]);
      const late = await ask(email, agent);
      const form = await agent.open(linkOf(late));
      await flow.later(1_801, async () => {
        expect((await agent.open(linkOf(late))).status).toBe(400);
        expect((await submit(agent, form, { password: CHOSEN })).status).toBe(400);
      });
    });

    test("another site's form sets nothing, and one without a token neither", async () => {
      const { grantor } = flow;
      const { email, password } = await grantor.person();
      const token = await ask(email);
      const url = `${grantor.url}/reset-password/choose`;
      for (const [headers, status] of [
        [{ Origin: "https://evil.example" }, 403],
        [{}, 403],
      ] as const) {
        const body = new URLSearchParams({ token, password: CHOSEN });
        expect((await new Agent().request(url, { method: "POST", headers, body })).status).toBe(status);
      }
      await signIn(grantor, await grantor.client(), { email, password } as Person);
    });

    test("mail goes out over TLS with a login, in text and HTML, and its links are the issuer's whatever host was asked for", async () => {
      const { grantor } = flow;
      const { email } = await grantor.person();
      const agent = new Agent();
      const page = await agent.open(`${grantor.url}/reset-password`);
      const [form] = page.forms;
      await agent.open(`${grantor.url}/reset-password`, {
        method: "POST",
        body: new URLSearchParams({ ...form?.fields, email }),
        headers: { ...elsewhere(), "X-Forwarded-Host": "evil.example", Forwarded: "host=evil.example" },
      });
      const token = await tokenFor(email);
      const { raw, secure, user, to } = mail.to(email) as NonNullable<ReturnType<MailServer["to"]>>;
      expect({ secure, user, to }).toEqual({ secure: true, user: "grantor", to: [email] });
      expect(raw).toMatch(/^From: Grantor <no-reply@id\.example>$/m);
      expect(raw).toMatch(/^Auto-Submitted: auto-generated/m);
      expect(raw).toMatch(/^Content-Type: multipart\/alternative/m);
      const [, text = "", html = ""] = raw.split(/^Content-Type: text\/(?:plain|html); charset=utf-8/m);
      expect(text).toContain(`\r\n${linkOf(token)}&ui_locales=en\r\n`);
      expect(html).toContain(`href="${linkOf(token)}&#38;ui_locales=en"`);
      expect(html).not.toMatch(/<(?:img|script|style|link)\b/);
      for (const [link] of raw.matchAll(/https?:\/\/[^\s"<]+/g)) expect(link.startsWith(grantor.url)).toBe(true);
      expect(raw).not.toContain("evil.example");
    });

    test("a mail server that takes its time delays no answer", async () => {
      const { grantor } = flow;
      const { email } = await grantor.person();
      const release = mail.hold();
      try {
        const token = await ask(email); // the mail server has it, and has not said so
        expect((await new Agent().open(linkOf(token))).status).toBe(200);
      } finally {
        release();
      }
    });
  },
  { env: withMail },
);

describe("known and unknown addresses", () => {
  let opened: Stores;
  let grantor: Grantor;
  const known = Array.from({ length: 60 }, (_, n) => `known-${100 + n}@example.org`);
  beforeAll(async () => {
    opened = await (stores[0] as (typeof stores)[number]).open();
    // What hashes cost is for the bench to look at.
    grantor = await startGrantor(opened, { ...(await withMail()), PASSWORD_HASH_MEMORY: "7168", PASSWORD_HASH_PASSES: "1" });
    const { accounts, passwords } = grantor.services.people;
    const passwordHash = await passwords.hash("the right words, which nobody types");
    for (const email of known) await accounts.create({ email, emailVerified: true, passwordHash });
  });
  afterAll(async () => {
    await grantor?.[Symbol.asyncDispose]();
    await opened?.close();
  });

  test.each([
    ["sign-in", async () => authorizationUrl(grantor.url, await grantor.client(), pkce()), { password: "a password that is wrong" }],
    ["sign-up", async () => `${grantor.url}/sign-up`, { password: CHOSEN }],
    ["reset", async () => `${grantor.url}/reset-password`, {}],
  ])("look the same at %s: status, size and headers", async (_, url, more) => {
    const agent = new Agent();
    const page = await agent.open(await url());
    // The first answer may set a cookie that the others do not.
    await submit(agent, page, { email: "first@example.org", ...more });
    const looks = async (email: string) => {
      const { status, text, headers } = await submit(agent, page, { email, ...more });
      const kept = [...headers].filter(([name]) => !["date", "x-request-id", "set-cookie", "content-security-policy"].includes(name));
      const cookies = headers.getSetCookie().map((line) => line.replace(/=[^;]*/, "").replace(/expires=[^;]*/i, ""));
      return JSON.stringify({ status, size: text.length, cookies, kept });
    };
    const seen = { known: new Set<string>(), unknown: new Set<string>() };
    for (const email of known) {
      const [one, other] = await Promise.all([looks(email), looks(email.replace("known", "never"))]);
      seen.known.add(one);
      seen.unknown.add(other);
    }
    expect([...seen.known]).toEqual([...seen.unknown]);
    expect(seen.known.size).toBe(1);
  });
});
