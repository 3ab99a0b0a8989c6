/** A mail server that asks for TLS and a login, as those of the world do, and keeps what it is given. */
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";

export interface ReceivedMail {
  /** Of the envelope. */
  readonly to: readonly string[];
  /** Headers and body as they came. */
  readonly raw: string;
  /** It came over TLS, from somebody who had logged in. */
  readonly secure: boolean;
  readonly user: string;
  /** The first link's `token`. */
  readonly token: string | undefined;
}

export interface MailServer {
  /** For SMTP_URL. */
  readonly url: string;
  readonly mails: readonly ReceivedMail[];
  /** The newest mail to an address. */
  to(email: string): ReceivedMail | undefined;
  /** From now on a mail is taken but not acknowledged, until the function that it gives is called. */
  hold(): () => void;
  [Symbol.asyncDispose](): Promise<void>;
}

const USER = "grantor";
const PASSWORD = "the mail server's password";

export async function startMailServer(): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  let held: Promise<void> | undefined;
  const server = new SMTPServer({
    // Its own self-signed certificate; STARTTLS comes first, as nobody may log in without.
    onAuth({ username, password }, _session, callback) {
      if (username !== USER || password !== PASSWORD) return callback(new Error("wrong login"));
      callback(null, { user: username });
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", async () => {
        const raw = Buffer.concat(chunks).toString("utf8");
        const to = session.envelope.rcptTo.map(({ address }) => address);
        const token = /[?&]token=([\w-]+)/.exec(raw)?.[1];
        mails.push({ to, raw, secure: session.secure, user: String(session.user), token });
        await held;
        callback();
      });
    },
  });
  server.on("error", () => {}); // of connections that end in the middle
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/?requireTLS=true&tls.rejectUnauthorized=false`,
    mails,
    to: (email) => mails.findLast(({ to }) => to.includes(email)),
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return () => {
        held = undefined;
        resolve();
      };
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => server.close(resolve));
    },
  };
}
