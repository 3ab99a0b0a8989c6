/**
 * The file: JSON lines. A header, then one line for each thing, of one kind after the other, and a last line that says how many there were, so
 * that a file that was cut off is known as such. Secrets are sealed under a passphrase.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { createReadStream } from "node:fs";
import { promisify } from "node:util";
import { z } from "zod";
import { createSealer, type Sealer } from "../storage/seal.ts";
import { id, NOUNS, type NounName, words } from "./noun.ts";

const FORMAT = 1;

/** OWASP's recommendation for scrypt: 128 MiB, a quarter of a second; what is typed is guessed at. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const;
const SALT_BYTES = 16;
/** Characters of a passphrase. */
export const SHORTEST_PASSPHRASE = 15;

const count = z.int().min(0);

export const header = z.strictObject({
  grantor: z.literal("export", "must be a file that grantor export has written"),
  format: z.literal(FORMAT, "is of a release that writes another form: use one that knows it"),
  version: words(100),
  issuer: words(500).refine((issuer) => URL.canParse(issuer), "must be a URL"),
  at: words(40),
  nouns: z.array(z.enum(NOUNS)),
  /** What the passphrase is made a key with, and by which the right one is known; absent: no secrets. */
  secrets: z.strictObject({ salt: z.base64url().max(100), check: z.base64url().max(100) }).optional(),
});
export type Header = z.infer<typeof header>;

export const footer = z.strictObject({ end: z.partialRecord(z.enum(NOUNS), count) });
export type Counts = Readonly<Partial<Record<NounName, number>>>;

/** One thing: its noun is the member's name. `sealed`: its secrets. */
export const line = z.strictObject({ noun: z.enum(NOUNS), id: id().or(words(500)), entry: z.unknown(), sealed: words(20_000).optional() });

export interface PassphraseSealer {
  readonly sealer: Sealer;
  readonly secrets: NonNullable<Header["secrets"]>;
}

/** @param salt of a file that is read */
export async function passphraseSealer(passphrase: string, salt = randomBytes(SALT_BYTES)): Promise<PassphraseSealer> {
  const key = (await promisify<string, Buffer, number, typeof SCRYPT, Buffer>(scrypt)(
    passphrase.normalize("NFKC"),
    salt,
    32,
    SCRYPT,
  )) as Buffer;
  const check = createHmac("sha256", key).update("grantor/export").digest().subarray(0, 16);
  return { sealer: createSealer([key]), secrets: { salt: salt.toString("base64url"), check: check.toString("base64url") } };
}

/** @throws {Error} when it is another passphrase */
export async function openWith(passphrase: string, { salt, check }: NonNullable<Header["secrets"]>): Promise<Sealer> {
  const { sealer, secrets } = await passphraseSealer(passphrase, Buffer.from(salt, "base64url"));
  const [given, expected] = [Buffer.from(secrets.check), Buffer.from(check)];
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new Error("The passphrase is not the one with which the file was written.");
  return sealer;
}

export const contextOf = (noun: NounName, id: string): string => `export:${noun}:${id}`;

/** Bytes. An account with a thousand consents is far below. */
const LONGEST_LINE = 4 * 1024 * 1024;

/** The lines of a file, without holding more than one. @throws {Error} for one that is too long */
export async function* linesOf(path: string): AsyncGenerator<{ number: number; text: string }> {
  let parts: Buffer[] = [];
  let length = 0;
  let number = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      number += 1;
      yield { number, text: Buffer.concat([...parts, chunk.subarray(from, end)]).toString("utf8") };
      [parts, length, from] = [[], 0, end + 1];
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > LONGEST_LINE) throw new Error(`line ${number + 1}: is longer than ${LONGEST_LINE} bytes`);
  }
  if (length > 0) yield { number: number + 1, text: Buffer.concat(parts).toString("utf8") };
}
