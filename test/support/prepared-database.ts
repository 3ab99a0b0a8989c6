/** A database as a server leaves it at its first start, with every table and its signing keys, for suites that begin with a copy of it. */
import { loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { openServices } from "../../src/open-services.ts";
import { loadSecrets } from "../../src/secrets.ts";
import { databasesOn } from "./postgres.ts";
import { TEST_SECRET_KEY } from "./secret-key.ts";

/** @returns its name, under which it can be copied while nobody is connected; `drop` removes it */
export async function prepareDatabase(adminUrl: string): Promise<{ name: string; drop(): Promise<void> }> {
  const databases = databasesOn(adminUrl);
  const env = { DATABASE_URL: await databases.fresh(), SECRET_KEY: TEST_SECRET_KEY };
  const config = loadConfig(env);
  const services = await openServices(config, await loadSecrets(config, env), createLogger({ logLevel: "silent" }));
  await services.close();
  const name = new URL(env.DATABASE_URL).pathname.slice(1);
  await databases.freeze(name);
  return { name, drop: () => databases.dropAll() };
}
