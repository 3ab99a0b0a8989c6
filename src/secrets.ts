/**
 * What must not be printed, kept apart from Config: store addresses with their passwords and the root secret.
 * Owns the generated secret in DATA_DIR and the derivation of every other key; what the keys are used for belongs to their users.
 */
import { hkdfSync, randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Config, ConfigError, checkSettings } from "./config.ts";
import { MIN_SECRET_BYTES } from "./settings.ts";

export interface Secrets {
  /** Undefined: the embedded database. */
  readonly databaseUrl: string | undefined;
  /** Undefined: sessions, grants and tokens are kept in the database. */
  readonly redisUrl: string | undefined;
  /** Undefined: mail is written to a directory. */
  readonly smtpUrl: string | undefined;
  /** Root secrets: the first is used, all are accepted. Never used directly, see {@link deriveKeys}. */
  readonly secretKeys: readonly Buffer[];
}

const SECRET_FILE = "secret-key";
const DERIVED_BYTES = 32;

/**
 * Reads the secrets from the environment. While the database is embedded and SECRET_KEY is unset, the root secret is that of
 * `DATA_DIR/secret-key`, made at the first start; any number of processes that start at once agree on one.
 * @throws ConfigError when a variable is wrong, or the file cannot be made or holds no usable secret.
 */
export async function loadSecrets(config: Config, env: NodeJS.ProcessEnv): Promise<Secrets> {
  const values = checkSettings(env);
  return Object.freeze({
    databaseUrl: values.DATABASE_URL,
    redisUrl: values.REDIS_URL,
    smtpUrl: values.SMTP_URL,
    secretKeys: values.SECRET_KEY ?? (await generatedSecretKeys(config.dataDir)),
  });
}

/**
 * Keys of 32 bytes for one purpose, one from each root secret in the same order: the first is used, all are accepted.
 * @param label names the purpose, such as `grantor/cookies`; two purposes never share one.
 * @see https://www.rfc-editor.org/rfc/rfc5869 HKDF with SHA-256, the label as `info`
 */
export function deriveKeys(secrets: Secrets, label: string): Buffer[] {
  return secrets.secretKeys.map((key) => Buffer.from(hkdfSync("sha256", key, "", label, DERIVED_BYTES)));
}

async function generatedSecretKeys(dataDir: string): Promise<readonly Buffer[]> {
  const file = join(dataDir, SECRET_FILE);
  let text: string;
  try {
    text = (await readIfThere(file)) ?? (await generate(dataDir, file));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ConfigError([
      `DATA_DIR: make the directory and ${SECRET_FILE} in it readable and writable for this user (${code}), or set SECRET_KEY`,
    ]);
  }
  const keys = text.split(",").map((key) => Buffer.from(key.trim(), "utf8"));
  if (keys.some((key) => key.length < MIN_SECRET_BYTES)) {
    throw new ConfigError([
      `DATA_DIR: ${SECRET_FILE} in it holds no secret of ${MIN_SECRET_BYTES} bytes: restore it, or delete DATA_DIR to start afresh`,
    ]);
  }
  return Object.freeze(keys);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Written aside and then linked: the name appears once, with all of its content, and whoever comes second reads the first one's. */
async function generate(dataDir: string, file: string): Promise<string> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const aside = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    const handle = await open(aside, "wx", 0o600);
    try {
      await handle.writeFile(`${randomBytes(DERIVED_BYTES).toString("base64url")}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(aside, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(aside, { force: true });
  }
  return readFile(file, "utf8");
}
