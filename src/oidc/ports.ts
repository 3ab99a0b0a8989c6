/**
 * oidc: everything that is passed to `new Provider`. It knows the protocol and nothing of stores and pages: what it needs of them is handed
 * to it, and these are the shapes.
 */
import type { JsonWebKey, KeyObject } from "node:crypto";
import type { Context } from "koa";
import type { Adapter, Client, Configuration, ResourceServer } from "oidc-provider";
import type { Text } from "../i18n/messages.ts";
import type { Lifetimes } from "./lifetimes.ts";

export interface Person {
  readonly id: string;
  readonly roles: readonly string[];
  /** A role demands two factors. */
  readonly requiresSecondFactor: boolean;
  /** Standard claims that the scopes release, `sub` always. */
  claims(scopes: Iterable<string>): { sub: string } & Record<string, unknown>;
}

/** What a person allowed: scopes, by resource; both as space-separated lists. */
export interface ConsentedScopes {
  readonly openid: string;
  readonly resources: Readonly<Record<string, string>>;
}

/** What stays of an access token, so that the server can serve it, and end it. */
export type AccessTokenRecord = Record<string, unknown> & { jti: string; exp: number };

/** An access token's place in a status list. */
export interface TokenPlace {
  readonly list: string;
  readonly idx: number;
  /** The list's, for everybody. */
  readonly uri: string;
}

/** For whom a token is asked. */
export interface TokenBearer {
  /** Of the person; undefined: there is none, or they have not signed in yet. */
  readonly accountId: string | undefined;
  /** The client asks for itself: nobody will sign in. */
  readonly clientAlone: boolean;
}

/** Pages that the engine asks for. Each answers on `ctx`. */
export interface EnginePages {
  error(ctx: Context, out: { error: string; error_description?: string | undefined }, cause: Error): Promise<void>;
  deviceInput(ctx: Context, form: EngineForm & { userCode?: string | undefined; error?: Text | undefined }): void;
  deviceConfirm(ctx: Context, form: EngineForm & { userCode: string }, client: Client): Promise<void>;
  deviceDone(ctx: Context, outcome: "approved" | "denied"): void;
  logout(ctx: Context, form: EngineForm): Promise<void>;
  signedOut(ctx: Context): Promise<void>;
  /** The status is the caller's to set. */
  post(ctx: Context, form: PostedForm): void;
}

/** What the browser sends on by itself. */
export interface PostedForm {
  readonly action: string;
  readonly fields: Readonly<Record<string, string>>;
  /** It goes to the application, which gets nothing else with it. */
  readonly toClient: boolean;
}

export interface EngineForm {
  readonly action: string;
  readonly xsrf: string;
}

export interface EarlierKey {
  readonly kid: string;
  readonly alg: string;
  readonly publicKey: KeyObject;
}

export interface EngineDependencies {
  readonly issuer: string;
  /** 32 bytes, the same in every process: what DPoP nonces are made from. */
  readonly dpopNonceKey: Buffer;
  readonly https: boolean;
  adapterFor(model: string): Adapter;
  /** What signs: private keys, one for each algorithm. */
  readonly jwks: { keys: readonly JsonWebKey[] };
  /** What signed before, to recognize ID tokens that come back as hints. */
  readonly earlierKeys: readonly EarlierKey[];
  readonly cookieKeys: {
    sign(data: string): string;
    verify(data: string, digest: string): boolean;
    index(data: string, digest: string): number;
  };
  readonly lifetimes: Lifetimes;
  /** Whether the session of the request at hand goes on under the id that it has (parallel-tabs.ts). */
  keepsSessionId(): boolean;
  /** When a session expires as it stands now, in seconds since the epoch; undefined: there is none under this uid. */
  sessionExpiry(uid: string): Promise<number | undefined>;
  /** The person behind a `sub`; undefined when there is none, or when they may not be served. */
  findPerson(id: string): Promise<Person | undefined>;
  findConsent(accountId: string, clientId: string): Promise<ConsentedScopes | undefined>;
  /** Undefined: nobody has registered it, or it is not for that client. */
  findResourceServer(resource: string, client: Client, bearer: TokenBearer): Promise<ResourceServer | undefined>;
  mayIntrospect(audience: string, clientId: string): Promise<boolean>;
  /** Resources that put `roles` into every token. */
  includesRoles(audience: string): Promise<boolean>;
  recordAccessToken(record: AccessTokenRecord): Promise<void>;
  /** A place that no other token ever has. @param lifetime seconds, of the token */
  takeStatusPlace(lifetime: number): Promise<TokenPlace>;
  /** The record of a complete, living access token of this server; the request fails if it has ended by its commit. */
  openAccessToken(token: string): Promise<AccessTokenRecord | undefined>;
  readonly pages: EnginePages;
  /** Registration features and the client metadata that is ours. */
  readonly registration: Pick<Configuration, "extraClientMetadata"> & { features: NonNullable<Configuration["features"]> };
  /** Fetches what a client names, and reaches nothing private. */
  readonly fetch: typeof fetch;
  /** Clients that are part of the server. */
  readonly builtInClients: readonly Record<string, unknown>[];
}
