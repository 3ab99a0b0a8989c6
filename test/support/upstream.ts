/**
 * Other providers, as far as a test needs them: one of OpenID Connect, and one that looks like GitHub Enterprise Server, over real HTTP. Whoever
 * comes is signed in at once, as whom the test says; what it answers can be made wrong in every way that a client has to notice.
 */
import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";

export const UPSTREAM_CLIENT = { client_id: "grantor-at-upstream", client_secret: "a-secret-that-upstream-gave-us" };

export interface Wrongs {
  /** Parameters of the answer to put in place of the right ones; `undefined` leaves one out. */
  answer?: Record<string, string | undefined>;
  /** Claims of the ID token. */
  claims?: Record<string, unknown>;
  /** A key that is not in its key set. */
  signature?: boolean;
  /** Status of the token endpoint. */
  status?: number;
  /** The token endpoint never answers. */
  silent?: boolean;
  /** Status of its metadata. */
  metadata?: number;
  /** Of its metadata. */
  endpoints?: Record<string, string>;
  /** Redirects the token request. */
  redirects?: boolean;
}

export interface TestUpstream {
  /** Of OpenID Connect, and the address of the other. */
  readonly issuer: string;
  /** Who signs in from now on: claims, `sub` among them; for GitHub a user of its API, and its addresses. */
  person: JWTPayload & Record<string, unknown>;
  user: { id: number; login: string; [member: string]: unknown };
  emails: { email: string; primary: boolean; verified: boolean }[];
  /** Claims that only userinfo has. */
  userinfo: Record<string, unknown>;
  wrongs: Wrongs;
  /** What came to the authorization endpoint, oldest first. */
  readonly requests: URLSearchParams[];
  /** Requests to the token endpoint so far. */
  tokenRequests: number;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Code {
  readonly nonce: string | null;
  readonly challenge: string;
  readonly redirectUri: string;
  readonly person: Record<string, unknown>;
  readonly wrongs: Wrongs;
}

export async function startUpstream(): Promise<TestUpstream> {
  const [keys, others] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("RS256")]);
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "k", alg: "RS256", use: "sig" };
  const codes = new Map<string, Code>();
  const server = createServer((req, res) => {
    handle(req, res).catch((error: Error) => res.writeHead(500).end(error.stack));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const upstream: TestUpstream = {
    issuer,
    person: { sub: "somebody" },
    user: { id: 1, login: "somebody" },
    emails: [],
    userinfo: {},
    wrongs: {},
    requests: [],
    tokenRequests: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const url = new URL(req.url ?? "/", issuer);
    const json = (body: unknown, status = 200) => res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return void json({ ...metadata(issuer), ...upstream.wrongs.endpoints }, upstream.wrongs.metadata ?? 200);
      case "/jwks":
        return void json({ keys: [jwk] });
      case "/authorize":
      case "/login/oauth/authorize":
        return authorize(url, res, url.pathname === "/authorize" ? issuer : `${issuer}/login/oauth`);
      case "/token":
      case "/login/oauth/access_token":
        return token(req, json, res);
      case "/userinfo":
        return void json({ ...upstream.person, ...upstream.userinfo });
      case "/api/v3/user":
        return void json(upstream.user);
      case "/api/v3/user/emails":
        return void json(upstream.emails);
      default:
        res.writeHead(404).end();
    }
  }

  function authorize(url: URL, res: ServerResponse, iss: string): void {
    const { searchParams: asked } = url;
    upstream.requests.push(asked);
    const code = randomBytes(16).toString("hex");
    codes.set(code, {
      nonce: asked.get("nonce"),
      challenge: asked.get("code_challenge") ?? "",
      redirectUri: asked.get("redirect_uri") ?? "",
      person: structuredClone(upstream.person),
      wrongs: structuredClone(upstream.wrongs),
    });
    const answer = { code, state: asked.get("state") ?? "", iss, ...upstream.wrongs.answer };
    const given = Object.entries(answer).filter((entry): entry is [string, string] => entry[1] !== undefined);
    res.writeHead(302, { Location: `${asked.get("redirect_uri")}?${new URLSearchParams(given)}` }).end();
  }

  async function token(req: IncomingMessage, json: (body: unknown, status?: number) => unknown, res: ServerResponse): Promise<void> {
    upstream.tokenRequests += 1;
    let body = "";
    for await (const chunk of req) body += chunk;
    const form = new URLSearchParams(body);
    const code = codes.get(form.get("code") ?? "");
    codes.delete(form.get("code") ?? "");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!isOurs(req, form)) return void json({ error: "invalid_client" }, 401);
    if (code === undefined || code.challenge !== challenge || code.redirectUri !== form.get("redirect_uri")) {
      return void json({ error: "invalid_grant" }, 400);
    }
    const { wrongs } = code;
    if (wrongs.silent === true) return;
    if (wrongs.redirects === true) return void res.writeHead(307, { Location: `${issuer}/elsewhere` }).end();
    if (wrongs.status !== undefined) return void json({ error: "server_error" }, wrongs.status);
    const claims = { iss: issuer, aud: UPSTREAM_CLIENT.client_id, nonce: code.nonce ?? undefined, ...code.person, ...wrongs.claims };
    const jwt = new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "k" }).setIssuedAt();
    if (!("exp" in claims)) jwt.setExpirationTime("5 minutes");
    const idToken = await jwt.sign(wrongs.signature === true ? others.privateKey : keys.privateKey);
    const openid = form.get("redirect_uri")?.includes("/github/") !== true;
    json({
      access_token: `at-${randomBytes(16).toString("hex")}`,
      token_type: "bearer",
      scope: "openid",
      ...(openid && { id_token: idToken }),
    });
  }

  return upstream;
}

const metadata = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  userinfo_endpoint: `${issuer}/userinfo`,
  jwks_uri: `${issuer}/jwks`,
  response_types_supported: ["code"],
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: ["RS256"],
  authorization_response_iss_parameter_supported: true,
});

function isOurs(req: IncomingMessage, form: URLSearchParams): boolean {
  const basic = Buffer.from((req.headers.authorization ?? "").replace(/^Basic /, ""), "base64").toString();
  const { client_id, client_secret } = UPSTREAM_CLIENT;
  const [id, secret] = basic === "" ? [form.get("client_id"), form.get("client_secret")] : basic.split(":").map(decodeURIComponent);
  return id === client_id && secret === client_secret;
}
