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
  /** @param bearer what stands in the Authorization header */
  newClient(metadata: Metadata, bearer: string | undefined): Promise<PreparedRegistration>;
  change(clientId: string, metadata: Metadata): Promise<PreparedRegistration>;
}

export function createRegistrationRequests(options: {
  clients: Pick<ClientStore, "find" | "checkSecret">;
  /** Undefined: registration is for everybody, and no token counts. */
  tokens: Pick<RegistrationTokens, "find"> | undefined;
  statements: SoftwareStatements;
  statementRequired: boolean;
}): RegistrationRequests {
  const { clients, tokens, statements, statementRequired } = options;

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
      const token = bearer === undefined ? undefined : await tokens?.find("InitialAccessToken", bearer);
      return prepared(metadata, undefined, token?.limits);
    },

    async change(clientId, { client_secret: secret, ...metadata }) {
      // RFC 7592 §2.2: an update may repeat the secret, which the engine cannot compare with a hash. A wrong one stays for it to refuse.
      const repeated = secret === undefined || (typeof secret === "string" && (await clients.checkSecret(clientId, secret)));
      const client = await clients.find(clientId);
      return prepared({ ...metadata, ...(!repeated && { client_secret: secret }) }, client?.softwareStatement, client?.registrationLimits);
    },
  };
}

/** RFC 7592 §2.2: null and the empty string are as good as nothing. */
const isAbsent = (value: unknown): boolean => value === undefined || value === null || value === "";
