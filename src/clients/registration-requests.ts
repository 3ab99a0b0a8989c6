/** What has to be looked up before the engine checks a registration (RFC 7591) or a change of one (RFC 7592), which it does in one go. */
import { ClientError } from "./client-error.ts";
import type { ClientStore } from "./client-store.ts";
import { type RegistrationLimits, scopeWithin } from "./registration-limits.ts";
import type { RegistrationTokens } from "./registration-tokens.ts";
import { type SoftwareStatements, withStatement } from "./software-statements.ts";

type Metadata = Readonly<Record<string, unknown>>;

export interface PreparedRegistration {
  /** With what its software statement says, and without what is known already. */
  readonly metadata: Metadata;
  /** A software statement that stands. */
  readonly statement?: string;
  /** For the engine to say once it knows who asks. */
  readonly refusal?: ClientError;
}

export interface RegistrationRequests {
  /** @param bearer the token in the Authorization header: for one that opens nothing, which the engine refuses, nothing is looked up */
  newClient(metadata: Metadata, bearer: string | undefined): Promise<PreparedRegistration>;
  change(clientId: string, metadata: Metadata, bearer: string | undefined): Promise<PreparedRegistration>;
}

export function createRegistrationRequests(options: {
  clients: Pick<ClientStore, "find" | "checkSecret">;
  tokens: Pick<RegistrationTokens, "find">;
  /** Whoever registers needs an initial access token; else none counts. */
  tokenRequired: boolean;
  statements: SoftwareStatements;
  statementRequired: boolean;
}): RegistrationRequests {
  const { clients, tokens, tokenRequired, statements, statementRequired } = options;

  async function prepared(
    given: Metadata,
    known: string | undefined,
    limits: RegistrationLimits | undefined,
  ): Promise<PreparedRegistration> {
    const { software_statement: stated = known } = given;
    try {
      const statement = isAbsent(stated) ? known : stated === known ? known : await statements.verify(stated);
      const metadata = statement === undefined ? given : withStatement(given, statement);
      const scope = isAbsent(metadata.scope) ? scopeWithin(limits) : undefined;
      return { metadata: { ...metadata, ...(scope !== undefined && { scope }) }, ...(statement !== undefined && { statement }) };
    } catch (refusal) {
      if (!(refusal instanceof ClientError) || refusal.status >= 500) throw refusal;
      return { metadata: given, refusal };
    }
  }

  return {
    async newClient(metadata, bearer) {
      if (statementRequired && isAbsent(metadata.software_statement)) {
        const message = "software_statement is needed here: one that a trusted issuer has signed (RFC 7591 §2.3)";
        return { metadata, refusal: new ClientError("invalid_client_metadata", message) };
      }
      if (!tokenRequired) return prepared(metadata, undefined, undefined);
      const token = bearer === undefined ? undefined : await tokens.find("InitialAccessToken", bearer);
      return token === undefined ? { metadata, refusal: noSuchToken() } : prepared(metadata, undefined, token.limits);
    },

    async change(clientId, metadata, bearer) {
      const token = bearer === undefined ? undefined : await tokens.find("RegistrationAccessToken", bearer);
      const client = token?.clientId === clientId ? await clients.find(clientId) : undefined;
      if (client === undefined) return { metadata, refusal: noSuchToken() };
      // RFC 7592 §2.2: an update may repeat the secret, which the engine cannot compare with a hash. A wrong one stays for it to refuse.
      const { client_secret: secret, ...rest } = metadata;
      const repeated = typeof secret === "string" && (await clients.checkSecret(clientId, secret));
      return prepared(repeated ? rest : metadata, client.softwareStatement, client.registrationLimits);
    },
  };
}

/** Should the engine have found a token where we found none, it must not go on without what was not looked up. */
const noSuchToken = (): ClientError => new ClientError("invalid_token", "there is no such token");

/** RFC 7592 §2.2: null and the empty string are as good as nothing. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === "";
