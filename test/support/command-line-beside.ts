/** The command line on the stores of a running server, and what it makes there first. */
import { grantorJson } from "./command-line.ts";
import { type Grantor, post, type SeededClient } from "./grantor.ts";
import { ask } from "./server-control.ts";
import type { Stores } from "./stores.ts";

/** A resource with the scope cli:read. */
export const AUDIENCE = "https://api.example/command-line";
export const REDIRECT = "https://app.example/callback";

export interface Registered {
  client_id: string;
  client_secret: string;
}

export interface CommandLine {
  /** Of the server, and so of the command line. */
  readonly env: Record<string, string>;
  /** Made by the command line: where people sign in, and which introspects. */
  readonly web: SeededClient;
  /** Made by the command line: asks for tokens of its own. */
  readonly service: SeededClient;
  json<T = Record<string, unknown>>(...args: string[]): Promise<T>;
  /** By client credentials. */
  token(client: SeededClient): Promise<Response>;
  accessToken(client: SeededClient): Promise<string>;
  /** Who did that, by the audit log. */
  audited(event: string, column: "account_id" | "client_id", id: string): Promise<unknown>;
}

export async function commandLineBeside(grantor: Grantor, backing: Stores): Promise<CommandLine> {
  const { env } = grantor.server;
  const json = <T = Record<string, unknown>>(...args: string[]): Promise<T> => grantorJson<T>(env, args);
  const made = await json<Registered>("client", "create", "--name", "Web", "--type", "web", "--redirect-uri", REDIRECT);
  const web = { ...made, redirect_uri: REDIRECT };
  const robot = await json<Registered>("client", "create", "--name", "Robot", "--type", "service", "--scope", "cli:read");
  const described = ["--scope", "cli:read=Read what the test wrote", "--introspected-by", web.client_id];
  await json("resource", "create", "--audience", AUDIENCE, ...described);
  const token = (client: SeededClient): Promise<Response> =>
    post(`${grantor.url}/oauth/token`, client, { grant_type: "client_credentials", resource: AUDIENCE, scope: "cli:read" });
  return {
    env,
    web,
    service: { ...robot, redirect_uri: "" },
    json,
    token,
    accessToken: async (client) => ((await (await token(client)).json()) as { access_token: string }).access_token,
    audited: (event, column, id) =>
      ask(backing.databaseUrl, `SELECT actor FROM audit_event WHERE event = $1 AND outcome = 'success' AND ${column} = $2`, [event, id]),
  };
}
