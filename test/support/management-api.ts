/** Calls of the management API, as a client with its own access tokens makes them. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text as textOf } from "node:stream/consumers";
import { Ajv2020 } from "ajv/dist/2020.js";
import { MANAGEMENT_SCOPES } from "../../src/operations/management-scopes.ts";
import { answerOf, type Grantor, post, type SeededClient } from "./grantor.ts";

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect
  readonly body: any;
}

export interface Call {
  /** Sent as JSON; a string as it is. */
  body?: unknown;
  headers?: Record<string, string>;
  /** `null`: none. By default one that may do everything. */
  token?: string | null;
}

export interface ManagementApi {
  readonly grantor: Grantor;
  readonly client: SeededClient;
  /** @param path below `/api/v1` */
  call(method: string, path: string, call?: Call): Promise<ApiAnswer>;
  /** Of a service that may do all of these. */
  token(scopes?: readonly string[]): Promise<string>;
}

export async function managementApi(grantor: Grantor): Promise<ManagementApi> {
  const client = await grantor.client({ type: "service", managementScopes: MANAGEMENT_SCOPES });
  const tokens = new Map<string, Promise<string>>();
  const token = (scopes: readonly string[] = MANAGEMENT_SCOPES): Promise<string> => {
    const scope = scopes.join(" ");
    const known = tokens.get(scope) ?? ask(scope);
    tokens.set(scope, known);
    return known;
  };
  async function ask(scope: string): Promise<string> {
    const parameters = { grant_type: "client_credentials", scope, resource: `${grantor.url}/api/v1` };
    const { status, body } = await answerOf(post(`${grantor.url}/oauth/token`, client, parameters));
    if (status !== 200) throw new Error(`no token: ${JSON.stringify(body)}`);
    return String(body.access_token);
  }
  return {
    grantor,
    client,
    token,
    async call(method, path, { body, headers = {}, token: given } = {}) {
      const bearer = given === undefined ? await token() : given;
      const {
        status,
        headers: answered,
        text,
      } = await send(method, grantor.url, `/api/v1${path}`, body, {
        ...(bearer !== null && { Authorization: `Bearer ${bearer}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      });
      const isJson = /json(?!l)/.test(answered.get("content-type") ?? "");
      return { status, headers: answered, body: isJson && text !== "" ? JSON.parse(text) : text };
    },
  };
}

/** `fetch` would tidy the path up. */
async function send(method: string, origin: string, path: string, body: unknown, headers: Record<string, string>) {
  const payload = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const length = { "Content-Length": String(Buffer.byteLength(payload ?? "")) };
  const call = request(origin, { method, path, headers: { ...headers, ...(method !== "GET" && length) } });
  // What is too large is refused while it is sent.
  call.on("error", () => {});
  call.end(payload);
  const [response] = (await once(call, "response")) as [IncomingMessage];
  const answered = new Headers();
  for (const [name, values = []] of Object.entries(response.headersDistinct)) for (const value of values) answered.append(name, value);
  return { status: response.statusCode as number, headers: answered, text: await textOf(response) };
}

export interface DescribedOperation {
  readonly method: string;
  /** Below `/api/v1`. */
  readonly path: string;
  readonly operationId: string;
  readonly scope: string;
  readonly parameters: readonly { name: string; in: string; required?: boolean }[];
  /** JSON schema, with references into the document. */
  readonly body: Record<string, unknown> | undefined;
  readonly responses: Readonly<Record<string, { content?: Record<string, { schema: object }>; headers?: Record<string, unknown> }>>;
}

// biome-ignore lint/suspicious/noExplicitAny: a document that is validated elsewhere
export function operationsOf(document: any): DescribedOperation[] {
  return Object.entries<Record<string, never>>(document.paths).flatMap(([path, item]) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    Object.entries<any>(item).map(([method, { operationId, security, parameters = [], requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path: path.slice("/api/v1".length),
      operationId,
      scope: security[0].oauth2[0],
      parameters,
      body: requestBody?.content["application/json"].schema,
      responses,
    })),
  );
}

/** @returns why a value does not fit a schema of the document; undefined: it does */
export function createChecker(document: object): (schema: object, value: unknown) => string | undefined {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema(document, "api");
  const prepared = new Map<string, ReturnType<typeof ajv.compile>>();
  return (schema, value) => {
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"api#/');
    const validate = prepared.get(text) ?? ajv.compile(JSON.parse(text));
    prepared.set(text, validate);
    return validate(value) ? undefined : ajv.errorsText(validate.errors);
  };
}
