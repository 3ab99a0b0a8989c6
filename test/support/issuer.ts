/** An issuer of access tokens with status lists, in memory, that can be told to misbehave; and a clock of its own. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { deflateSync } from "node:zlib";
import { exportJWK, type GenerateKeyPairResult, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";
import type { AccessTokenClaims } from "../../src/resource-server/access-token-claims.ts";
import { AccessTokenError } from "../../src/resource-server/access-token-error.ts";

export interface TestKey {
  readonly jwk: JWK;
  readonly privateKey: GenerateKeyPairResult["privateKey"];
}

export async function testKey(kid: string, alg = "RS256"): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" }, privateKey };
}

/** What a status list says instead of what it should. */
export interface ListFaults {
  claims?: JWTPayload;
  header?: { typ?: string; kid?: string };
  key?: TestKey;
  /** The compressed list. */
  lst?: Buffer;
}

export const AUDIENCE = "https://api.example";
/** Bytes of its lists: the indices 0 to 1023. */
const LIST_BYTES = 128;

const METADATA = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

export class TestIssuer {
  readonly url: string;
  /** Milliseconds that its clock, and that of whoever takes `now`, is ahead. */
  ahead = 0;
  /** Published; the first signs. */
  keys: TestKey[];
  jwksMaxAge = 300;
  metadata: Record<string, unknown>;
  ttl = 10;
  /** Seconds from a list's `iat` to its `exp`. */
  listLife = 310;
  listFaults: ListFaults = {};
  /** Answers in its place. */
  intercept: (path: string) => Response | undefined | Promise<Response | undefined> = () => undefined;
  /** Paths in the order in which they were fetched. */
  readonly fetched: string[] = [];
  readonly #lists = new Map<string, { bytes: Uint8Array; signed: { iat: number; text: string } | undefined }>();

  constructor(url: string, keys: TestKey[]) {
    this.url = url;
    this.keys = keys;
    this.metadata = { issuer: url, jwks_uri: `${url}/.well-known/jwks.json`, authorization_endpoint: `${url}/oauth/authorize` };
  }

  now = (): number => Date.now() + this.ahead;
  seconds = (): number => Math.floor(this.now() / 1000);
  times = (part: string): number => this.fetched.filter((path) => path.includes(part)).length;

  listUri = (id = "a"): string => `${this.url}/oauth/status-lists/${id}`;

  /** Sets the bit of a token; the next fetch says so. */
  revoke(index: number, id = "a"): void {
    const list = this.#list(id);
    list.bytes[index >> 3] = (list.bytes[index >> 3] ?? 0) | (1 << (index & 7));
    list.signed = undefined;
  }

  /** An access token as Grantor makes them, unless `claims` say otherwise. */
  claims(claims: JWTPayload = {}): JWTPayload {
    const now = this.seconds();
    return {
      iss: this.url,
      aud: AUDIENCE,
      sub: "ada",
      client_id: "app",
      scope: "things:read",
      iat: now,
      exp: now + 900,
      jti: "a-jti",
      status: { status_list: { idx: 7, uri: this.listUri() } },
      ...claims,
    };
  }

  token(claims: JWTPayload = {}, { typ = "at+jwt", by }: { typ?: string; by?: TestKey } = {}): Promise<string> {
    const { privateKey, jwk } = by ?? (this.keys[0] as TestKey);
    return new SignJWT(this.claims(claims)).setProtectedHeader({ alg: jwk.alg as string, kid: jwk.kid as string, typ }).sign(privateKey);
  }

  /** For a verifier's `fetch`. */
  fetch = async (url: string, init: { headers: Record<string, string> }): Promise<Response> => {
    const path = url.replace(this.url, "");
    this.fetched.push(path);
    const answer = await this.intercept(path);
    if (answer !== undefined) return answer;
    if (METADATA.includes(path)) return Response.json(this.metadata);
    if (path === "/.well-known/jwks.json")
      return Response.json(
        { keys: this.keys.map(({ jwk }) => jwk) },
        { headers: { "Cache-Control": `public, max-age=${this.jwksMaxAge}` } },
      );
    if (!path.startsWith("/oauth/status-lists/")) return new Response(null, { status: 404 });
    const { text, iat } = await this.#document(path.split("/").at(-1) as string);
    const headers = { "Content-Type": "application/statuslist+jwt", ETag: `"${iat}-${text.length}-${text.slice(-20)}"` };
    return init.headers["If-None-Match"] === headers.ETag ? new Response(null, { status: 304, headers }) : new Response(text, { headers });
  };

  /** Signed on change and after `ttl`, as by Grantor. */
  async #document(id: string): Promise<{ text: string; iat: number }> {
    const list = this.#list(id);
    const iat = this.seconds();
    const faulty = Object.keys(this.listFaults).length > 0;
    if (!faulty && list.signed !== undefined && iat < list.signed.iat + this.ttl) return list.signed;
    const { claims, header, key = this.keys[0] as TestKey, lst = deflateSync(list.bytes) } = this.listFaults;
    const payload = {
      sub: this.listUri(id),
      iat,
      exp: iat + this.listLife,
      ttl: this.ttl,
      status_list: { bits: 1, lst: lst.toString("base64url") },
      ...claims,
    };
    const text = await new SignJWT(payload)
      .setProtectedHeader({ alg: key.jwk.alg as string, kid: key.jwk.kid as string, typ: "statuslist+jwt", ...header })
      .sign(key.privateKey);
    const signed = { iat, text };
    list.signed = faulty ? undefined : signed;
    return signed;
  }

  #list(id: string): { bytes: Uint8Array; signed: { iat: number; text: string } | undefined } {
    const list = this.#lists.get(id) ?? { bytes: new Uint8Array(LIST_BYTES), signed: undefined };
    this.#lists.set(id, list);
    return list;
  }
}

export type ListeningIssuer = TestIssuer & { close(): void };

/** Over HTTP on this machine. */
export async function listeningIssuer(): Promise<ListeningIssuer> {
  const server = createServer(async (request, response) => {
    const answer = await issuer.fetch(issuer.url + request.url, { headers: request.headers as Record<string, string> });
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = new TestIssuer(`http://localhost:${(server.address() as AddressInfo).port}`, [await testKey("one")]);
  return Object.assign(issuer, {
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
}

/** What a verifier says when it refuses. Fails when it lets the request through. */
export async function refusal(verified: Promise<AccessTokenClaims>): Promise<AccessTokenError> {
  const error = await verified.then(
    () => new Error("it was let through"),
    (error: unknown) => error,
  );
  if (!(error instanceof AccessTokenError)) throw error;
  return error;
}
