/** The requests of a trial run as an application makes them, and what is shown of them: everything but secrets. */
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, importJWK, SignJWT } from "jose";
import { needsSecret } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";

/** One request and its answer. */
export interface Exchange {
  readonly step: "authorize" | "push" | "callback" | "token" | "device" | "poll" | "refresh" | "userinfo" | "end";
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: readonly Pair[];
  readonly params: readonly Pair[];
  /** Absent where the browser takes the request on: the answer is the next exchange. */
  readonly status?: number;
  /** Members of the answer's JSON. */
  readonly answer?: readonly Pair[];
}
export type Pair = readonly [name: string, value: string];

export interface TrialRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly address: string;
}

/** Makes a request in an application's name. */
export type TrialAsk = (
  clientId: string,
  request: TrialRequest,
) => Promise<{ status: number; headers: Readonly<Record<string, string>>; body: string }>;

interface Talking {
  readonly clientId: string;
  readonly exchanges: readonly Exchange[];
  readonly key?: Readonly<Record<string, unknown>>;
}

/** What opens something, or did. */
const SECRET = new Set([
  ...["code", "code_verifier", "access_token", "refresh_token", "id_token", "device_code", "token", "client_secret", "request_uri"],
  ...["Authorization", "DPoP"],
]);
/** Characters by which two of them can be told apart. */
const RECOGNISED = 6;
const LONGEST = 400;
/** Exchanges of one run that are shown: a device may be asked for often. */
const MOST = 30;

const FORM = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };

export class TrialTalk {
  #issuer: string;
  #client: ClientRecord;
  #key: Talking["key"];
  #ask: TrialAsk;
  #address: string;
  /** Of this server, for the next proof (RFC 9449 §8). */
  #nonce: string | undefined;
  exchanges: readonly Exchange[];
  /** Error code of the last answer. */
  lastError: string | undefined;

  constructor(options: { issuer: string; client: ClientRecord; trial: Talking; ask: TrialAsk; address: string }) {
    this.#issuer = options.issuer;
    this.#client = options.client;
    this.#key = options.trial.key;
    this.#ask = options.ask;
    this.#address = options.address;
    this.exchanges = options.trial.exchanges;
  }

  /** A private JWK, for DPoP. */
  static async newKey(): Promise<Record<string, unknown>> {
    const { privateKey } = await generateKeyPair("ES256", { extractable: true });
    return (await exportJWK(privateKey)) as Record<string, unknown>;
  }

  /** Where the browser goes; undefined when the pushed request was refused. */
  async authorize(params: Readonly<Record<string, string>>, pushed: boolean): Promise<string | undefined> {
    const path = "/oauth/authorize";
    let inBrowser = params;
    if (pushed) {
      const answer = await this.#post("push", "/oauth/par", params);
      if (typeof answer?.request_uri !== "string") return undefined;
      inBrowser = { client_id: this.#client.clientId, request_uri: answer.request_uri };
    }
    this.#note({ step: "authorize", method: "GET", url: this.#issuer + path, headers: [], params: shown(inBrowser) });
    return `${path}?${new URLSearchParams(inBrowser)}`;
  }

  /** Notes what the browser brought back. */
  callback(params: URLSearchParams, url: string): void {
    this.lastError = params.get("error") ?? undefined;
    this.#note({ step: "callback", method: "GET", url, headers: [], params: shown(Object.fromEntries(params)) });
  }

  /** @returns undefined when it was refused */
  token(step: "token" | "poll" | "refresh", params: Readonly<Record<string, string>>): Promise<Record<string, unknown> | undefined> {
    return this.#post(step, "/oauth/token", params);
  }

  async device(params: Readonly<Record<string, string>>) {
    const answer = await this.#post("device", "/oauth/device", params);
    if (answer === undefined) return undefined;
    const { device_code, user_code, verification_uri_complete, verification_uri, interval } = answer;
    const link = String(verification_uri_complete ?? verification_uri);
    return { deviceCode: String(device_code), userCode: String(user_code), link, interval: Number(interval ?? 5) };
  }

  async userinfo(accessToken: string): Promise<void> {
    const scheme = this.#key === undefined ? "Bearer" : "DPoP";
    await this.#send("userinfo", "GET", "/oauth/userinfo", { headers: { authorization: `${scheme} ${accessToken}` }, accessToken });
  }

  async revoke(token: string): Promise<void> {
    await this.#post("end", "/oauth/revoke", { token });
  }

  #post(step: Exchange["step"], path: string, params: Readonly<Record<string, string>>) {
    const { clientId, metadata } = this.#client;
    const form = new URLSearchParams(params);
    // Of a confidential application the server has no secret, and needs none: it knows its own request.
    const secret = needsSecret(metadata) || metadata.token_endpoint_auth_method === "private_key_jwt";
    if (!secret) form.set("client_id", clientId);
    const basic = `Basic ${Buffer.from(`${encodeURIComponent(clientId)}:trial`).toString("base64")}`;
    return this.#send(step, "POST", path, { headers: { ...FORM, ...(secret && { authorization: basic }) }, form });
  }

  async #send(
    step: Exchange["step"],
    method: "GET" | "POST",
    path: string,
    { headers, form, accessToken }: { headers: Record<string, string>; form?: URLSearchParams; accessToken?: string },
  ): Promise<Record<string, unknown> | undefined> {
    const url = this.#issuer + path;
    for (let attempt = 1; ; attempt += 1) {
      const proof = this.#key && step !== "end" && step !== "device" ? await this.#prove(method, url, accessToken) : undefined;
      const sent = { ...headers, ...(proof !== undefined && { dpop: proof }) };
      const request = { method, path, headers: sent, address: this.#address, ...(form !== undefined && { body: form.toString() }) };
      const answer = await this.#ask(this.#client.clientId, request);
      const members = membersOf(answer.body);
      this.lastError = typeof members?.error === "string" ? members.error : undefined;
      const ok = answer.status >= 200 && answer.status < 300;
      this.#note({
        ...{ step, method, url, status: answer.status },
        headers: shownHeaders(sent),
        params: shown(Object.fromEntries(form ?? [])),
        answer: shown(members ?? {}),
      });
      const nonce = answer.headers["dpop-nonce"];
      if (nonce !== undefined) this.#nonce = nonce;
      const again = this.lastError === "use_dpop_nonce" || /use_dpop_nonce/.test(answer.headers["www-authenticate"] ?? "");
      if (!again || attempt > 1) return ok ? (members ?? {}) : undefined;
    }
  }

  async #prove(method: string, url: string, accessToken: string | undefined): Promise<string> {
    const key = this.#key as Record<string, unknown>;
    const { d: _private, ...jwk } = key as { d?: string; kty: string };
    const digest = accessToken && Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(accessToken))).toString("base64url");
    return new SignJWT({
      ...{ htm: method, htu: url, jti: randomUUID() },
      ...(this.#nonce !== undefined && { nonce: this.#nonce }),
      ...(digest && { ath: digest }),
    })
      .setProtectedHeader({ alg: "ES256", typ: "dpop+jwt", jwk })
      .setIssuedAt()
      .sign(await importJWK(key as never, "ES256"));
  }

  #note(exchange: Exchange): void {
    this.exchanges = [...this.exchanges, exchange].slice(-MOST);
  }
}

function membersOf(body: string): Record<string, unknown> | undefined {
  try {
    const members = JSON.parse(body) as unknown;
    return typeof members === "object" && members !== null ? (members as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const shown = (members: Readonly<Record<string, unknown>>): Pair[] =>
  Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, masked(name, typeof value === "string" ? value : JSON.stringify(value))]);

/** The header of a secret says how it is sent. */
const shownHeaders = ({ authorization, dpop }: Readonly<Record<string, string>>): Pair[] => [
  ...(authorization === undefined ? [] : [["Authorization", `${authorization.split(" ", 1)[0]} …`] as const]),
  ...(dpop === undefined ? [] : [["DPoP", masked("DPoP", dpop)] as const]),
];

const masked = (name: string, value: string): string =>
  SECRET.has(name) ? `${value.slice(0, RECOGNISED)}…` : value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
