/** Providers from configuration: one JSON file, read at start. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { ConfigError } from "../config.ts";
import { faultsOf, type IdentityProvider, providerInput, providerOf } from "./provider.ts";

const VARIABLE = "IDENTITY_PROVIDERS_FILE";

/**
 * @param path absolute; undefined: there is no such file
 * @throws {ConfigError} naming every fault at once, and no value
 */
export function readProviderFile(path: string | undefined): readonly IdentityProvider[] {
  if (path === undefined) return [];
  const { providers, ...others } = parse(path);
  const faults = Object.keys(others).map((name) => `${name} is not known here: the file is { "providers": [ … ] }`);
  if (!Array.isArray(providers)) throw problems(['providers: must be a list: { "providers": [ … ] }', ...faults]);
  const found: IdentityProvider[] = [];
  const ids = new Set<string>();
  for (const [position, entry] of providers.entries()) {
    const at = `providers[${position}]`;
    const { success, data, error } = providerInput.safeParse(
      withSecret(entry, dirname(path), (message) => faults.push(`${at}.${message}`)),
    );
    if (!success) faults.push(...faultsOf(error, at));
    else if (ids.has(data.id)) faults.push(`${at}.id: another provider has it`);
    else {
      ids.add(data.id);
      found.push(providerOf(data, "configuration", "file"));
    }
  }
  if (faults.length > 0) throw problems(faults);
  return Object.freeze(found);
}

/** The secret may lie in a file of its own (`client_secret_file`, relative to this one), as container platforms hand them out. */
function withSecret(entry: unknown, directory: string, fault: (message: string) => void): unknown {
  if (typeof entry !== "object" || entry === null || !("client_secret_file" in entry)) return entry;
  const { client_secret_file: file, ...others } = entry;
  if (typeof file !== "string" || "client_secret" in others) {
    fault("client_secret_file: must be the path of a file, in place of client_secret");
    return others;
  }
  try {
    return { ...others, client_secret: readFileSync(resolve(directory, file), "utf8").trim() };
  } catch (error) {
    fault(`client_secret_file: must be a file that this user may read (${(error as NodeJS.ErrnoException).code})`);
    return others;
  }
}

function parse(path: string): Record<string, unknown> {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    throw problems([`set the path of a file that this user may read (${(error as NodeJS.ErrnoException).code})`]);
  }
  try {
    const parsed: unknown = JSON.parse(content);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  } catch {
    // What a parser says quotes the text, and with it a secret.
    throw problems(["the file is no JSON"]);
  }
  throw problems(['the file must be { "providers": [ … ] }']);
}

const problems = (faults: readonly string[]): ConfigError => new ConfigError(faults.map((fault) => `${VARIABLE}: ${fault}`));
