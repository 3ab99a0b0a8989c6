import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { alreadyRegisteredMail, invitationMail, verificationMail } from "../../src/accounts/account-mails.ts";
import { LANGUAGES } from "../../src/i18n/languages.ts";
import { createMailer, type MailerOptions } from "../../src/mail/mailer.ts";
import { tempDir } from "../support/temp-dir.ts";

const head = { issuer: "https://id.example.com", brand: "Harbour & Co" };
const dir = tempDir("mail");
const lines: Record<string, unknown>[] = [];
const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
const options = (more: Partial<MailerOptions> = {}): MailerOptions => ({
  smtpUrl: undefined,
  from: "Harbour <no-reply@id.example.com>",
  dataDir: dir.path,
  loopback: true,
  log,
  retryDelays: [10, 10],
  ...more,
});
afterEach(() => {
  lines.length = 0;
});

test("without a mail server every mail is a file that its owner alone reads, and the terminal names it", async () => {
  const mailer = createMailer(options());
  mailer.send(verificationMail(head, "ada@example.com", "en", "t0ken", 24));
  mailer.send(alreadyRegisteredMail(head, "ada@example.com", "en"));
  await new Promise((resolve) => setImmediate(resolve));
  await mailer.idle();
  const outbox = join(dir.path, "outbox");
  expect(mailer.outbox).toBe(outbox);
  const files = readdirSync(outbox);
  expect(files).toHaveLength(2);
  expect(statSync(outbox).mode & 0o777).toBe(0o700);
  for (const file of files) {
    expect(file).toMatch(/^\d{8}T\d{9}Z-[0-9a-f]{8}\.eml$/);
    expect(statSync(join(outbox, file)).mode & 0o777).toBe(0o600);
    const text = readFileSync(join(outbox, file), "utf8");
    expect(text.split("\r\n\r\n")[0]).toMatch(/\r\nFrom: Harbour <no-reply@id\.example\.com>\r\nTo: ada@example\.com\r\n/);
    for (const field of ["Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted"])
      expect(text).toMatch(new RegExp(`^${field}: `, "m"));
    expect(text.replace(/\r\n/g, "")).not.toMatch(/[\r\n]/);
    expect(text).toContain("Content-Type: text/plain");
    expect(text).toContain("Content-Type: text/html");
  }
  expect(lines.map(({ msg, subject }) => [msg, subject]).sort()).toEqual([
    ["mail written", "Harbour & Co: Confirm your e-mail address"],
    ["mail written", "Harbour & Co: You already have an account"],
  ]);
  expect(JSON.stringify(lines)).not.toContain("t0ken");
  await mailer.close();
});

test.each(LANGUAGES)("a link can be copied from the file, whatever the language: %s", async (language) => {
  const mailer = createMailer(options());
  const message = verificationMail(head, "ada@example.com", language, "t0ken", 24);
  const earlier = new Set(filesIn(mailer.outbox));
  mailer.send(message);
  await new Promise((resolve) => setImmediate(resolve));
  await mailer.idle();
  const [file = ""] = filesIn(mailer.outbox).filter((each) => !earlier.has(each));
  const eml = readFileSync(file, "utf8");
  expect(eml).toContain(`\r\n\r\n${message.text.replace(/\n/g, "\r\n")}`);
  expect(eml).toContain(`\r\nhttps://id.example.com/verify-email?token=t0ken&ui_locales=${language}\r\n`);
  await mailer.close();
});

const filesIn = (outbox = ""): string[] => (existsSync(outbox) ? readdirSync(outbox) : []).map((file) => join(outbox, file));

test("links come from the issuer, and a brand is no markup", () => {
  const { text, html, subject } = verificationMail(head, "ada@example.com", "en", "abc", 24);
  expect(text).toContain("\n\nhttps://id.example.com/verify-email?token=abc&ui_locales=en\n\n");
  expect(html).toContain('href="https://id.example.com/verify-email?token=abc&#38;ui_locales=en"');
  expect(html).toContain("Harbour &#38; Co");
  expect(html).not.toContain("Harbour & Co");
  expect(subject).toContain("Harbour & Co");
});

test("links lead to pages in the language of the mail, where anybody has said one", () => {
  const german = verificationMail(head, "ada@example.com", "de", "abc", 24);
  expect(german.text).toContain("https://id.example.com/verify-email?token=abc&ui_locales=de\n");
  expect(german.html).toContain('<html lang="de"');
  const invitation = invitationMail(head, "ada@example.com", undefined, "https://id.example.com/sign-up?invitation=x", 7);
  expect(invitation.text).toContain("7 days");
  expect(invitation.text).toContain("/sign-up?invitation=x\n");
  expect(invitation.html).toContain('<html lang="en"');
});

/** A mail server by hand: says what `answer` says to MAIL FROM, and keeps what it took. */
async function smtp(
  answer: (attempt: number) => string | undefined,
): Promise<{ url: string; mails: string[]; attempts: () => number; close: () => void }> {
  const mails: string[] = [];
  const sockets = new Set<Socket>();
  let attempts = 0;
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let data: string | undefined;
    let rest = "";
    const say = (line: string) => socket.write(`${line}\r\n`);
    say("220 test");
    socket.on("data", (chunk) => {
      rest += chunk.toString();
      for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (data !== undefined) {
          if (line === ".") {
            mails.push(data);
            data = undefined;
            say("250 ok");
          } else data += `${line}\n`;
        } else if (/^(EHLO|HELO|RCPT|RSET)/i.test(line)) say("250 ok");
        else if (/^MAIL/i.test(line)) {
          attempts += 1;
          say(answer(attempts) ?? "250 ok");
        } else if (/^DATA/i.test(line)) {
          data = "";
          say("354 go on");
        } else if (/^QUIT/i.test(line)) socket.end("221 bye\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    attempts: () => attempts,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test("with SMTP_URL it goes out, and a server that is busy is asked again", async () => {
  const server = await smtp((attempt) => (attempt === 1 ? "451 later" : undefined));
  const mailer = createMailer(options({ smtpUrl: server.url }));
  mailer.send(verificationMail(head, "ada@example.com", "en", "abc", 24));
  await expect.poll(() => server.mails.length).toBe(1);
  expect(server.attempts()).toBe(2);
  expect(server.mails[0]).toContain("To: ada@example.com");
  expect(lines.map(({ msg }) => msg)).toEqual(["a mail could not be sent yet"]);
  await mailer.close();
  server.close();
});

test("what is refused for good is given up and logged, without anybody's address; others still go", async () => {
  const server = await smtp((attempt) => (attempt === 1 ? "550 no" : undefined));
  const mailer = createMailer(options({ smtpUrl: server.url }));
  mailer.send(verificationMail(head, "refused@example.com", "en", "s3cret", 24));
  await expect.poll(() => lines.length).toBe(1);
  mailer.send(verificationMail(head, "ada@example.com", "en", "abc", 24));
  await expect.poll(() => server.mails.length).toBe(1);
  expect(server.attempts()).toBe(2);
  expect(lines[0]).toMatchObject({ msg: "a mail could not be sent", tries: 1 });
  expect(JSON.stringify(lines)).not.toMatch(/refused@example|s3cret/);
  await mailer.close();
  server.close();
});

test("a server that is away delays nobody, and closing does not wait for it long", async () => {
  const mailer = createMailer(options({ smtpUrl: "smtp://127.0.0.1:1", retryDelays: [60_000] }));
  const from = performance.now();
  mailer.send(verificationMail(head, "ada@example.com", "en", "abc", 24));
  expect(performance.now() - from).toBeLessThan(1000);
  await expect.poll(() => lines.length).toBe(1);
  await mailer.close(100);
  expect(performance.now() - from).toBeLessThan(15_000);
  expect(lines.at(-1)).toMatchObject({ msg: "a mail could not be sent" });
});
