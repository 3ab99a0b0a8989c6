/** Why a request was refused, in the reader's language. The engine says it in English, for programs: its sentences are known here by their form. */
import { type Text, text } from "../i18n/messages.ts";

/** What is said, and the text for it. The first that fits counts; what a name in the pattern finds is a value of the text. */
const SAID: readonly (readonly [RegExp, string])[] = [
  [/^missing required parameters? (?<names>.+)$/, "refusals:missing"],
  [/^(?<names>\w+) is required\b/, "refusals:missing"],
  [/^(?<names>\w+) must be provided$/, "refusals:missing"],
  [/^(?<names>.+) parameters? must not be provided twice$/, "refusals:repeated"],
  [/^client is invalid$|^unrecognized id_token_hint audience$/, "errors:protocol.invalid_client"],
  [/^redirect_uri did not match/, "errors:protocol.invalid_redirect_uri"],
  [/^client_id mismatch$/, "refusals:two_clients"],
  // The browser's part: its steps and forms.
  [/^authorization request has expired$|^(?:interaction )?session not found$|session id cookie not found$/, "errors:interaction.expired"],
  [/session .*mismatch$|^session principal changed$|^interaction and address differ$/, "errors:interaction.expired"],
  [/^xsrf token invalid$|^could not find logout details$/, "errors:stale_sign_out.message"],
  [/^could not find device form details$/, "device:input.page_stale"],
  // Who asks.
  [/^client authentication must only be provided using one mechanism$/, "remedies:two_auth_methods.what"],
  [/^no client authentication mechanism|^client_secret must be provided/, "remedies:no_auth.what"],
  [/^invalid authorization header value|not properly encoded/, "remedies:auth_encoding.what"],
  [/client.assertion/, "remedies:assertion.what"],
  [/^origin (?<origin>\S+) not allowed/, "refusals:origin"],
  // What is asked for.
  [/^prompt none must/, "refusals:prompt_none"],
  [/^unsupported prompt/, "refusals:prompt"],
  [/^invalid max_age/, "refusals:max_age"],
  [/response_mode\b.*(?:not allowed|requested)/, "refusals:response_mode"],
  [/^requested response_type is not allowed/, "refusals:response_type"],
  [/^requested grant type is not allowed|^\S+ is not allowed for this client$/, "refusals:grant_type"],
  [/^scope contains invalid characters$/, "refusals:scope_characters"],
  [/^openid scope must be requested/, "refusals:openid"],
  [/^Pushed Authorization Request must be used$/, "remedies:par_required.what"],
  [/^request and request_uri/, "refusals:not_offered"],
  [/id_token_hint/, "refusals:id_token_hint"],
  [/^post_logout_redirect_uri not registered$/, "refusals:post_logout"],
  [/requires PKCE/, "remedies:pkce_missing.what"],
  [/^code_verifier /, "remedies:code_verifier.what"],
  [/code_challenge/, "remedies:pkce_wrong.what"],
  [/single (?:resource indicator|audience) value|^a token is for one resource$/, "refusals:one_resource"],
  // Tokens.
  [/^missing DPoP proof|with a DPoP proof|thumbprint|^`DPoP` header not provided|proof-of-possession/, "remedies:dpop_key.what"],
  [/^access tokens? must|^authorization header scheme must|^`DPoP` tokens must/, "refusals:token_place"],
  [/two are demanded by now$/, "remedies:second_factor.what"],
  [/subject_token|actor_token|requested_token_type/, "refusals:exchange"],
  [/^introspection must be requested with Accept/, "refusals:introspection"],
  // The body, and what is registered.
  [/^failed to parse the request body$/, "refusals:body"],
  [/^only \S+ content-type bodies/, "refusals:content_type"],
  [/^client does not have permission to|^request MUST NOT include the|^provided client_/, "refusals:registration"],
];

/** By the protocol's error codes, for what is said in no way that is known. */
const CODES: Readonly<Record<string, string>> = {
  access_denied: "remedies:access_denied.what",
  authorization_pending: "refusals:pending",
  consent_required: "remedies:consent_required.what",
  expired_token: "remedies:expired_token.what",
  insufficient_scope: "remedies:insufficient_scope.what",
  interaction_required: "remedies:interaction_required.what",
  invalid_client: "refusals:client_authentication",
  invalid_client_metadata: "remedies:invalid_client_metadata.what",
  invalid_dpop_proof: "remedies:invalid_dpop_proof.what",
  invalid_grant: "refusals:grant",
  invalid_redirect_uri: "errors:protocol.invalid_redirect_uri",
  invalid_request: "errors:400.message",
  invalid_request_object: "refusals:not_offered",
  invalid_request_uri: "refusals:pushed_gone",
  invalid_scope: "refusals:scope",
  invalid_software_statement: "refusals:statement",
  invalid_target: "refusals:resource",
  invalid_token: "remedies:invalid_token.what",
  login_required: "remedies:login_required.what",
  registration_not_supported: "refusals:not_offered",
  request_not_supported: "refusals:not_offered",
  request_uri_not_supported: "refusals:not_offered",
  server_error: "errors:500.message",
  slow_down: "remedies:slow_down.what",
  temporarily_unavailable: "errors:503.message",
  unapproved_software_statement: "refusals:statement",
  unauthorized_client: "remedies:unauthorized_client.what",
  unmet_authentication_requirements: "refusals:assurance",
  unsupported_grant_type: "refusals:unknown_grant_type",
  unsupported_response_mode: "refusals:response_mode",
  unsupported_response_type: "refusals:response_type",
  unsupported_token_type: "remedies:unsupported_token_type.what",
  use_dpop_nonce: "remedies:invalid_dpop_proof.what",
};

/** @param error the protocol's error code  @param said its `error_description`  @returns a sentence */
export function refusalWords(error: string, said = ""): Text {
  for (const [pattern, key] of SAID) {
    const found = pattern.exec(said);
    if (found !== null) return text(key, found.groups && listed(found.groups));
  }
  const key = Object.hasOwn(CODES, error) ? CODES[error] : undefined;
  return key === undefined ? text("remedies:other.what", { error }) : text(key);
}

/** `'a', 'b', and 'c'` is a, b, c. */
const listed = (groups: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(groups).map(([name, value]) => [name, [...value.matchAll(/'([^']*)'/g)].map(([, each]) => each).join(", ") || value]),
  );
