/** Dynamic client registration (RFC 7591) and its management (RFC 7592): what the engine is told, by the three policies of REGISTRATION. */
import type { Configuration, ClientMetadata as EngineMetadata, KoaContextWithOIDC } from "oidc-provider";
import type { Config } from "../config.ts";
import { ClientError } from "./client-error.ts";
import { type ClientMetadata, type MetadataRules, parseClientMetadata } from "./client-metadata.ts";
import { generateSecret, newClientId } from "./client-secrets.ts";
import {
  type ClientAdapters,
  type ClientExtras,
  clientExtras,
  ENGINE_EXTRA_MEMBERS,
  engineError,
  engineScopes,
  OPERATOR_MEMBERS,
} from "./engine-client-adapter.ts";
import type { PreparedRegistration } from "./registration-requests.ts";

/** Set by the engine itself, before it asks. */
const ENGINE_MEMBERS = ["client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at"];

/** With the next lookup comes what is stored. */
const NOTHING_FROM_AN_OPERATOR: ClientExtras = {
  require_pkce: true,
  first_party: false,
  verified: false,
  require_second_factor: false,
  management_scopes: [],
  stranger: true,
};

export interface RegistrationConfiguration {
  /** `registration` and `registrationManagement` for the engine's `features`. Closed: both off, and absent from the metadata document. */
  readonly features: Required<Pick<NonNullable<Configuration["features"]>, "registration" | "registrationManagement">>;
  readonly extraClientMetadata: NonNullable<Configuration["extraClientMetadata"]>;
  /** OIDC Registration §5: what an application registers by itself is compared with what lies there, once, and not whenever it is looked up. */
  readonly sectorIdentifierUriValidate: NonNullable<Configuration["sectorIdentifierUriValidate"]>;
}

/** @param knownScopes every scope that an application may register for: the OpenID ones and those of resources, never the management ones */
export function registrationConfig(
  { registration }: Pick<Config, "registration">,
  adapters: Pick<ClientAdapters, "expect" | "isExpected">,
  knownScopes: () => ReadonlySet<string>,
): RegistrationConfiguration {
  const enabled = registration !== "closed";
  return {
    features: {
      registration: {
        enabled,
        initialAccessToken: registration === "token",
        issueRegistrationAccessToken: true,
        idFactory: newClientId,
        secretFactory: generateSecret,
      },
      registrationManagement: { enabled, rotateRegistrationAccessToken: true },
    },
    sectorIdentifierUriValidate: ({ clientId }) => adapters.isExpected(clientId),
    extraClientMetadata: {
      properties: [...ENGINE_EXTRA_MEMBERS],
      // Called once for each property, before the engine applies rules of its own: the first call checks everything.
      validator(ctx: KoaContextWithOIDC | undefined, key: string, _value: unknown, metadata: EngineMetadata) {
        if (ctx === undefined || key !== ENGINE_EXTRA_MEMBERS[0]) return; // a stored client, checked when it was stored
        applyRules(ctx, metadata as unknown as Record<string, unknown>);
      },
    },
  };

  function applyRules({ oidc, state }: KoaContextWithOIDC, metadata: Record<string, unknown>): void {
    const { statement, refusal } = state.registration as PreparedRegistration;
    if (refusal !== undefined) throw engineError(refusal);
    const given = (oidc.body ?? {}) as Record<string, unknown>;
    // Against the registration that there is, an update is checked where it is stored.
    const registered = parse(given, oidc.client === undefined ? { knownScopes: knownScopes(), stranger: registration === "open" } : {});
    for (const member of Object.keys(metadata)) if (!ENGINE_MEMBERS.includes(member)) delete metadata[member];
    const { scope, ...members } = registered;
    const operator = oidc.client === undefined ? NOTHING_FROM_AN_OPERATOR : clientExtras(oidc.client);
    Object.assign(metadata, members, engineScopes(scope), statement !== undefined && { software_statement: statement });
    for (const member of OPERATOR_MEMBERS) metadata[member] = operator[member];
    adapters.expect(String(metadata.client_id), {
      update: oidc.client !== undefined,
      initialAccessToken: oidc.entities.InitialAccessToken?.jti,
    });
  }

  function parse(given: Record<string, unknown>, rules: MetadataRules): ClientMetadata {
    try {
      return parseClientMetadata(given, rules);
    } catch (error) {
      throw error instanceof ClientError ? engineError(error) : error;
    }
  }
}
