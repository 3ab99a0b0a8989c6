/** What a token exchange asks for (RFC 8693 §2.1), and what the tokens in it say about who may act and who did. */
import { errors } from "oidc-provider";

export const ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token";
/** RFC 8693 §3: our access tokens are JWTs, and a client may know them as such. */
const TOKEN_TYPES: ReadonlySet<unknown> = new Set([ACCESS_TOKEN_TYPE, "urn:ietf:params:oauth:token-type:jwt"]);

/** Actors in one token, the present one included: a chain that goes on for ever is a loop. */
const MOST_ACTORS = 5;

export interface ExchangeRequest {
  readonly subjectToken: string;
  readonly actorToken: string | undefined;
  /** The one resource that the new token is for. */
  readonly audience: string;
}

/** RFC 8693 §4.1: who acts, and whom they act after. */
interface Actor {
  readonly sub: string;
  readonly act?: Actor;
}

/** @throws `invalid_request`, `invalid_target` */
export function exchangeRequest(params: Readonly<Record<string, unknown>>): ExchangeRequest {
  const { subject_token: subjectToken, actor_token: actorToken, requested_token_type: requested } = params as Record<string, string>;
  if (subjectToken === undefined) throw new errors.InvalidRequest("subject_token is required");
  checkType("subject_token_type", params.subject_token_type);
  if (actorToken !== undefined) checkType("actor_token_type", params.actor_token_type);
  else if (params.actor_token_type !== undefined) throw new errors.InvalidRequest("actor_token_type is given without an actor_token");
  if (requested !== undefined && requested !== ACCESS_TOKEN_TYPE)
    throw new errors.InvalidRequest(`requested_token_type must be ${ACCESS_TOKEN_TYPE}, or left out`);

  const [audience, ...others] = new Set([params.resource, params.audience].flat().filter((target) => target !== undefined));
  if (typeof audience !== "string") throw new errors.InvalidRequest("resource is required: the resource that the new token is for");
  if (others.length > 0) throw new errors.InvalidTarget("a token is for one resource");
  return { subjectToken, actorToken, audience };
}

function checkType(name: string, type: unknown): void {
  if (type === undefined) throw new errors.InvalidRequest(`${name} is required`);
  if (!TOKEN_TYPES.has(type)) throw new errors.InvalidRequest(`${name} must be ${ACCESS_TOKEN_TYPE}: nothing else is exchanged here`);
}

/**
 * RFC 8693 §4.4: whom a token allows to act for its subject; without the claim it says nothing about it.
 * @param actor every claim by which the actor can be named
 */
export function mayAct(mayActClaim: unknown, actor: Readonly<Record<string, string>>): boolean {
  if (mayActClaim === undefined) return true;
  if (typeof mayActClaim !== "object" || mayActClaim === null) return false;
  const named = Object.entries(mayActClaim);
  return named.length > 0 && named.every(([name, value]) => Object.hasOwn(actor, name) && actor[name] === value);
}

/** The present actor before those that the subject token names. @throws `invalid_request` when there are too many */
export function actorClaim(sub: string, earlier: unknown): Actor {
  let actors = 1;
  for (let act = earlier as Actor | undefined; act !== undefined; act = act.act) actors += 1;
  if (actors > MOST_ACTORS) throw new errors.InvalidRequest(`subject_token has passed through ${MOST_ACTORS} actors: it goes no further`);
  return { sub, ...(earlier !== undefined && { act: earlier as Actor }) };
}
