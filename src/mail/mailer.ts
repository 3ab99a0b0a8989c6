import { randomBytes } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createTransport } from "nodemailer";
import type { Logger } from "../observability/logger.ts";
import type { Message } from "./letter.ts";

/** Milliseconds before each further try: a greylisting server wants minutes, a restarting one seconds. */
const RETRY_DELAYS = [2_000, 15_000, 120_000];
/** Mails that may wait; past it a mail server has been down for long, and memory matters more. */
const MAX_QUEUED = 2_000;
const PARALLEL = 4;
const SMTP_TIMEOUT_MS = 20_000;

export interface Mailer {
  /**
   * Takes a mail on its way and returns at once, so that no answer waits for it or tells by its time that there was one. It is tried a few
   * times; a mail that never went is in the log.
   */
  send(message: Message): void;
  /** Resolves when nothing is on its way any more. */
  idle(): Promise<void>;
  /** Waits for what is on its way, but no longer than the milliseconds given. */
  close(patience?: number): Promise<void>;
  /** Mails that were taken and have not gone yet. */
  waiting(): number;
  /** The directory in which mail is left when there is no mail server. */
  readonly outbox: string | undefined;
}

export interface MailerOptions {
  /** `SMTP_URL`; without one mail is written to `DATA_DIR/outbox`. */
  smtpUrl: string | undefined;
  from: string;
  dataDir: string;
  /** On a loopback issuer the terminal names each file and its subject: whoever reads it is the operator. */
  loopback: boolean;
  log: Logger;
  /** Milliseconds before each further try. */
  retryDelays?: readonly number[];
  /** Told of each mail at its end: it went, it never will, or it was not even taken. */
  onOutcome?: (outcome: "sent" | "failed" | "dropped") => void;
}

/** Delivers one mail or throws. */
type Delivery = { deliver(message: Message): Promise<void>; close(): void };

export function createMailer(options: MailerOptions): Mailer {
  const { log, retryDelays = RETRY_DELAYS, onOutcome = () => {} } = options;
  const outbox = options.smtpUrl === undefined ? join(options.dataDir, "outbox") : undefined;
  const delivery = outbox === undefined ? bySmtp(options.smtpUrl as string, options.from) : intoOutbox(outbox, options);
  const queue: Message[] = [];
  const underway = new Set<Promise<void>>();
  const closing = new AbortController();

  async function deliver(message: Message): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await delivery.deliver(message);
        onOutcome("sent");
        return;
      } catch (error) {
        const delay = retryDelays[attempt];
        if (delay === undefined || isPermanent(error) || closing.signal.aborted) {
          log.error({ err: describe(error), subject: message.subject, tries: attempt + 1 }, "a mail could not be sent");
          onOutcome("failed");
          return;
        }
        log.warn({ err: describe(error), subject: message.subject, retryInMs: delay }, "a mail could not be sent yet");
        await sleep(delay, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  }

  function pump(): void {
    while (underway.size < PARALLEL) {
      const message = queue.shift();
      if (message === undefined) return;
      const work = deliver(message).finally(() => {
        underway.delete(work);
        pump();
      });
      underway.add(work);
    }
  }

  async function idle(): Promise<void> {
    while (queue.length > 0 || underway.size > 0) {
      await Promise.all(underway);
      await sleep(0);
    }
  }

  return {
    outbox,
    waiting: () => queue.length + underway.size,
    send(message) {
      if (queue.length >= MAX_QUEUED) {
        log.error({ subject: message.subject, waiting: queue.length }, "a mail was dropped: too many wait for the mail server");
        onOutcome("dropped");
        return;
      }
      queue.push(message);
      setImmediate(pump);
    },
    idle,
    async close(patience = 5_000) {
      const timer = new AbortController();
      await Promise.race([idle(), sleep(patience, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
      closing.abort();
      await Promise.race([idle(), sleep(1_000, undefined, { ref: false })]);
      delivery.close();
    },
  };
}

function bySmtp(url: string, from: string): Delivery {
  const transport = createTransport(
    {
      url,
      pool: true,
      connectionTimeout: SMTP_TIMEOUT_MS,
      greetingTimeout: SMTP_TIMEOUT_MS,
      socketTimeout: SMTP_TIMEOUT_MS,
    },
    { from },
  );
  return {
    async deliver(message) {
      await transport.sendMail(envelope(message, "7bit"));
    },
    close: () => transport.close(),
  };
}

function intoOutbox(outbox: string, { from, loopback, log }: MailerOptions): Delivery {
  const composer = createTransport({ streamTransport: true, buffer: true, newline: "windows" }, { from });
  return {
    async deliver(message) {
      const composed = await composer.sendMail(envelope(message, "8bit"));
      await mkdir(outbox, { recursive: true, mode: 0o700 });
      const time = new Date().toISOString().replace(/[-:.]/g, "");
      const file = join(outbox, `${time}-${randomBytes(4).toString("hex")}.eml`);
      // Named only when complete: whoever watches the directory never reads half a mail.
      await writeFile(`${file}.part`, composed.message as Buffer, { mode: 0o600 });
      await rename(`${file}.part`, file);
      log[loopback ? "info" : "debug"]({ file, subject: message.subject }, "mail written");
    },
    close() {},
  };
}

/** How a text may go: mail servers on the way may take ASCII alone (RFC 5321 §2.4), a file has no way before it. */
type Transfer = "7bit" | "8bit";

const FITS: Readonly<Record<Transfer, RegExp>> = { "7bit": /^[\n\x20-\x7e]*$/, "8bit": /^[\n\x20-\x7e\u{a0}-\u{10ffff}]*$/u };

function envelope({ to, subject, text, html }: Message, transfer: Transfer) {
  return {
    to: { name: "", address: to }, // an address object: nothing in it is parsed for further recipients
    subject,
    text: readable("text/plain", text, transfer),
    html: readable("text/html", html, transfer),
    disableFileAccess: true,
    disableUrlAccess: true,
    headers: { "Auto-Submitted": "auto-generated" }, // RFC 3834 §5: no vacation answers
  };
}

/**
 * What may go as it is does so, in whatever language, so that a link in an `.eml` file can be copied from a terminal: nodemailer would cut lines
 * past 76 characters in two, or encode all of it. A line has 998 octets at most (RFC 5322 §2.1.1).
 */
function readable(type: string, content: string, transfer: Transfer): string | { raw: string } {
  const plain = FITS[transfer].test(content) && content.split("\n").every((line) => Buffer.byteLength(line) <= 998);
  return plain
    ? { raw: `Content-Type: ${type}; charset=utf-8\r\nContent-Transfer-Encoding: ${transfer}\r\n\r\n${content.replace(/\n/g, "\r\n")}` }
    : content;
}

/** RFC 5321 §4.2.1: 5yz will not get better. */
function isPermanent(error: unknown): boolean {
  const { responseCode } = error as { responseCode?: unknown };
  return typeof responseCode === "number" && responseCode >= 500 && responseCode < 600;
}

/** Without the conversation, which may name people or hold credentials. */
function describe(error: unknown): { message: string; code: unknown; responseCode: unknown } {
  const { message, code, responseCode } = error as { message?: unknown; code?: unknown; responseCode?: unknown };
  return { message: String(message).slice(0, 300), code, responseCode };
}
