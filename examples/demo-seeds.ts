/** What the demo needs in the server's stores, made once and brought up to date at every start. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ADMIN_ROLE } from "../src/accounts/roles.ts";
import type { Config } from "../src/config.ts";
import type { Services } from "../src/open-services.ts";
import { BACKCHANNEL_LOGOUT_PATH, POST_LOGOUT_PATH, REDIRECT_PATH } from "./relying-party/app.ts";

const EMAIL = "demo@example.org";
const CLIENT_ID = "demo-relying-party";
const API_NAME = "Example API";
const PASSWORD_FILE = "demo-password";

export interface DemoAddresses {
  /** The relying party's own address. */
  app: string;
  /** The resource server's, which is the audience of its tokens. */
  api: string;
}

export interface DemoSeeds {
  login: { email: string; password: string };
  client: { clientId: string; clientSecret: string };
}

export async function seedDemo(services: Services, { dataDir }: Pick<Config, "dataDir">, addresses: DemoAddresses): Promise<DemoSeeds> {
  await seedResource(services, addresses.api);
  const clientSecret = await seedClient(services, addresses.app);
  const password = await demoPassword(dataDir);
  await seedAccount(services, password);
  return { login: { email: EMAIL, password }, client: { clientId: CLIENT_ID, clientSecret } };
}

async function seedResource({ resources }: Services, audience: string): Promise<void> {
  // A scope belongs to one resource: where the demo had another port before, that resource makes room.
  for (const other of resources.all()) {
    const isEarlier = other.name === API_NAME && other.audience.startsWith("http://localhost:") && other.audience !== audience;
    if (isEarlier) await resources.delete(other.audience);
  }
  const resource = {
    name: API_NAME,
    scopes: [
      { name: "things:read", description: "See your things" },
      { name: "things:write", description: "Add things in your name" },
    ],
    includeRoles: true,
  };
  if ((await resources.find(audience)) === undefined) await resources.create(audience, resource);
  else await resources.update(audience, resource);
}

/** @returns its secret, another one at every start: only a hash of it is stored */
async function seedClient({ clients }: Services, app: string): Promise<string> {
  const metadata = {
    client_name: "Example application",
    client_uri: app,
    redirect_uris: [app + REDIRECT_PATH],
    post_logout_redirect_uris: [app + POST_LOGOUT_PATH],
    backchannel_logout_uri: app + BACKCHANNEL_LOGOUT_PATH,
    backchannel_logout_session_required: true,
    scope: "openid profile email roles things:read things:write",
  };
  if ((await clients.find(CLIENT_ID)) === undefined) await clients.create({ clientId: CLIENT_ID, type: "web", metadata });
  else await clients.update(CLIENT_ID, { metadata });
  return (await clients.rotateSecret(CLIENT_ID)).secret;
}

/** The first administrator, unless there is one; a password that somebody changed is the demo's again. */
async function seedAccount({ people: { accounts, passwords } }: Services, password: string): Promise<void> {
  const stored = await accounts.findForSignIn(EMAIL);
  if (stored === undefined) {
    const passwordHash = await passwords.hash(password);
    await accounts.create({ email: EMAIL, emailVerified: true, name: "Demo Person", roles: [ADMIN_ROLE], passwordHash });
    return;
  }
  if (stored.disabled) await accounts.enable(stored.accountId);
  const { ok } = await passwords.verify(stored.passwordHash, password);
  if (!ok || !stored.emailVerified)
    await accounts.update(stored.accountId, { passwordHash: await passwords.hash(password), emailVerified: true });
}

/**
 * Random and kept beside the server's own secret, readable by its owner alone: a password that everybody knows would stay behind in a
 * database that may one day serve others.
 */
async function demoPassword(dataDir: string): Promise<string> {
  const file = join(dataDir, PASSWORD_FILE);
  const fresh = (randomBytes(10).toString("hex").match(/.{5}/g) ?? []).join("-");
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await writeFile(file, `${fresh}\n`, { flag: "wx", mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  return (await readFile(file, "utf8")).trim();
}
