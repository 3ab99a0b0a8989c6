/** Everything about people on stores of the test's own, as one process of the server has it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { pino } from "pino";
import { createPeople, type People, type PeopleOptions } from "../../src/accounts/people.ts";
import { loadConfig } from "../../src/config.ts";
import { openChangeFeed } from "../../src/storage/change-feed.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { TEST_SECRET_KEY } from "./secret-key.ts";
import type { Stores } from "./stores.ts";
import { tempDir } from "./temp-dir.ts";

export interface TestMail {
  to: string;
  subject: string;
  /** Decoded as it was written, without line folding. */
  text: string;
  /** The first link's `token` or `invitation`. */
  token: string | undefined;
}

export interface TestPeople extends People {
  readonly database: Database;
  readonly dataDir: string;
  /** All that was sent so far, oldest first. */
  mails(): Promise<TestMail[]>;
  /** The newest mail to an address. */
  mailTo(email: string): Promise<TestMail>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const PASSWORD = "correct horse battery staple";

export async function openPeople(
  stores: Stores,
  overrides: Partial<PeopleOptions["config"]> & Partial<Pick<PeopleOptions, "now" | "endAccount" | "hasSecondFactor" | "onDeleted">> = {},
): Promise<TestPeople> {
  const log = pino({ level: "silent" });
  const { now, endAccount = async () => {}, hasSecondFactor = async () => false, onDeleted = () => {}, ...config } = overrides;
  const dir = tempDir("people");
  const database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl: stores.databaseUrl }, log);
  const feed = await openChangeFeed(database, log);
  const redis = stores.redisUrl === undefined ? undefined : connect(stores.redisUrl);
  if (redis) await redis.ping();
  const people = createPeople({
    config: {
      issuer: "http://localhost:3000",
      brand: loadConfig({}).brand,
      loopback: true,
      dataDir: dir.path,
      mailFrom: "Grantor <no-reply@localhost>",
      signUp: "open",
      accountDeletionDelay: 1_209_600,
      anonymousRequestsPerMinute: 0,
      password: loadConfig({}).password,
      ...config,
    },
    secrets: { databaseUrl: undefined, redisUrl: undefined, smtpUrl: undefined, secretKeys: [Buffer.from(TEST_SECRET_KEY)] },
    database,
    feed,
    redis,
    log,
    endAccount,
    hasSecondFactor,
    onDeleted,
    ...(now === undefined ? {} : { now }),
  });

  async function mails(): Promise<TestMail[]> {
    await new Promise((resolve) => setImmediate(resolve));
    await people.mailer.idle();
    const outbox = join(dir.path, "outbox");
    let files: string[];
    try {
      files = readdirSync(outbox).sort();
    } catch {
      return [];
    }
    return files.filter((file) => file.endsWith(".eml")).map((file) => parse(readFileSync(join(outbox, file), "utf8")));
  }

  return {
    ...people,
    database,
    dataDir: dir.path,
    mails,
    async mailTo(email) {
      const mail = (await mails()).findLast((each) => each.to === email);
      if (mail === undefined) throw new Error(`no mail to ${email}`);
      return mail;
    },
    async [Symbol.asyncDispose]() {
      await people.close();
      await feed.close();
      await database.close();
      redis?.disconnect();
      dir.remove();
    },
  };
}

function connect(url: string): Redis {
  const redis = url.startsWith("unix://") ? new Redis({ path: url.slice("unix://".length) }) : new Redis(url);
  redis.on("error", () => {}); // of a server that a test stops
  return redis;
}

function parse(eml: string): TestMail {
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, "im").exec(eml.replace(/\r\n[ \t]+/g, " "))?.[1]?.trim() ?? "";
  const text = /^Content-Transfer-Encoding: quoted-printable/im.test(eml) ? eml.replace(/=\r\n/g, "").replace(/=3D/gi, "=") : eml;
  return {
    to: header("To"),
    subject: decodeWords(header("Subject")),
    text,
    token: /[?&](?:token|invitation)=([\w-]+)/.exec(text)?.[1],
  };
}

function decodeWords(value: string): string {
  return value.replace(/=\?UTF-8\?(Q|B)\?([^?]*)\?=\s*/gi, (_, kind: string, data: string) =>
    kind.toUpperCase() === "B"
      ? Buffer.from(data, "base64").toString()
      : Buffer.from(
          data.replace(/_/g, " ").replace(/=([0-9A-F]{2})/gi, (_m, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
          "latin1",
        ).toString(),
  );
}
