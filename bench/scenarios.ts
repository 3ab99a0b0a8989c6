/** What one virtual user does, over and over. Every operation checks its answers: a refused request is an error, not a fast one. */
import { createHash, randomBytes } from "node:crypto";
import type { Connection } from "./connection.ts";

/** What a target was prepared with: enough for a generator in another process. */
export interface Prepared {
  url: string;
  paths: { authorize: string; token: string; jwks: string };
  web: { id: string; secret: string; redirectUri: string };
  service: { id: string; secret: string };
  /** Browsers that are signed in and have consented: one for each virtual user. */
  cookies: string[];
  refreshTokens: string[];
  accessToken: string;
}

export interface User {
  connection: Connection;
  prepared: Prepared;
  cookie: string;
  refreshToken: string;
}

type Operation = (user: User) => Promise<void>;

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const basic = ({ id, secret }: { id: string; secret: string }) => `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}`;
/** One proof for all: making it is not what is measured. */
const VERIFIER = randomBytes(32).toString("base64url");
const CHALLENGE = createHash("sha256").update(VERIFIER).digest("base64url");

export const scenarios: Record<string, Operation> = {
  /** A signed-in browser authorizes, the application redeems the code: two requests, a refresh token, an access token and an ID token. */
  async "code flow"({ connection, prepared: { web, paths }, cookie }) {
    const query = new URLSearchParams({
      client_id: web.id,
      redirect_uri: web.redirectUri,
      response_type: "code",
      scope: "openid email",
      code_challenge: CHALLENGE,
      code_challenge_method: "S256",
    });
    const authorized = await connection.send("GET", `${paths.authorize}?${query}`, { cookie });
    const code = new URL(String(authorized.headers.location)).searchParams.get("code");
    if (authorized.status !== 303 || code === null)
      throw new Error(`authorize: ${authorized.status} ${authorized.headers.location} ${authorized.body}`);
    const body = new URLSearchParams({ grant_type: "authorization_code", code, redirect_uri: web.redirectUri, code_verifier: VERIFIER });
    expect200(await connection.send("POST", paths.token, { ...FORM, authorization: basic(web) }, body.toString()));
  },
  async refresh(user) {
    const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: user.refreshToken });
    const answer = await user.connection.send(
      "POST",
      user.prepared.paths.token,
      { ...FORM, authorization: basic(user.prepared.web) },
      body.toString(),
    );
    user.refreshToken = JSON.parse(expect200(answer)).refresh_token;
  },
  async "client credentials"({ connection, prepared: { service, paths } }) {
    expect200(await connection.send("POST", paths.token, { ...FORM, authorization: basic(service) }, "grant_type=client_credentials"));
  },
  async introspection({ connection, prepared: { web, accessToken } }) {
    const body = `token=${accessToken}&token_type_hint=access_token`;
    const answer = expect200(await connection.send("POST", "/oauth/introspect", { ...FORM, authorization: basic(web) }, body));
    if (!answer.includes('"active":true')) throw new Error(`introspection: ${answer}`);
  },
  async userinfo({ connection, prepared: { accessToken } }) {
    expect200(await connection.send("GET", "/oauth/userinfo", { authorization: `Bearer ${accessToken}` }));
  },
  async jwks({ connection, prepared: { paths } }) {
    expect200(await connection.send("GET", paths.jwks, {}));
  },
};

function expect200({ status, body }: { status: number; body: string }): string {
  if (status !== 200) throw new Error(`${status}: ${body}`);
  return body;
}
