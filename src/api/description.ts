/** The OpenAPI 3.1 description, made from what the endpoints say of themselves: the same schemas validate requests. */
import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponseObject } from "zod-openapi";
import { MANAGEMENT_SCOPES } from "../operations/management-scopes.ts";
import { LINES, problemType } from "./answers.ts";
import { type Endpoint, isTagged } from "./endpoint.ts";
import { PROBLEMS, type ProblemName } from "./problems.ts";
import { PAGING } from "./request-input.ts";
import { API_PATH } from "./routes.ts";

export const DESCRIPTION_PATH = "/api/openapi.json";
/** Of the API, not of the program: what is added changes the second number, what breaks a client would be `/api/v2`. */
const VERSION = "1.0.0";

const INTRODUCTION = `Everything that an operator can do, for programs.

Ask for an access token with \`resource\` set to the address of this API and the scopes that the operations name. An operator gives an application its scopes: \`grantor client create --type service --scope "grantor:accounts:read"\`. A token that a person gave holds no more than their roles permit; the role \`admin\` permits everything.

- **Lists** give \`items\` and, while there is more, \`next\`: the \`cursor\` of the following page, also as a \`Link\` header.
- **Changes** need \`If-Match\` with the \`ETag\` of what you have seen, or \`*\`.
- **Any POST** may be repeated safely with an \`Idempotency-Key\`: it is carried out once, and answered alike for a day.
- **What goes wrong** is told as problem details (RFC 9457).`;

const TAGS: Readonly<Record<string, string>> = {
  accounts: "People.",
  clients: "Applications that ask for tokens.",
  grants: "What people allowed applications.",
  sessions: "Where people are signed in.",
  resources: "APIs that tokens are for.",
  roles: "What their holders may do.",
  keys: "Keys that sign tokens.",
  "identity-providers": "Providers at which people can sign in.",
  "registration-tokens": "Initial access tokens, with which an application may register itself.",
  audit: "Who did what, when, from where.",
};

const problemSchema = z
  .object({
    type: z.url().describe("Says which problem it is, and opens in a browser."),
    title: z.string(),
    status: z.int().meta({ example: 400 }),
    detail: z.string().describe("What is wrong this time, and what to do."),
    errors: z
      .array(
        z.object({
          field: z.string().describe("A JSON pointer into the body, or `query/…`, `header/…`."),
          message: z.string().describe("Reads on from the name."),
        }),
      )
      .optional(),
    request_id: z.string().describe("Finds the request in the server's log."),
  })
  .meta({ id: "Problem", description: "Problem details (RFC 9457)." });

const tagHeader = z.string().describe("Names this version, for `If-Match` and `If-None-Match`.");

export type ApiDescription = ReturnType<typeof createDocument>;

export function describeApi(issuer: string, endpoints: readonly Endpoint[]): ApiDescription {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const endpoint of endpoints) {
    const path = API_PATH + endpoint.path;
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: describe(endpoint) };
  }
  const used = new Set(endpoints.map(({ tag }) => tag));
  const scopes = Object.fromEntries(MANAGEMENT_SCOPES.map((scope) => [scope, scopeWords(scope)]));
  const urls = { tokenUrl: `${issuer}/oauth/token`, refreshUrl: `${issuer}/oauth/token`, scopes };
  return createDocument({
    openapi: "3.1.0",
    info: { title: "Grantor management API", version: VERSION, description: INTRODUCTION, license: { name: "MIT", identifier: "MIT" } },
    servers: [{ url: issuer }],
    tags: Object.entries(TAGS).flatMap(([name, description]) => (used.has(name) ? [{ name, description }] : [])),
    paths,
    components: {
      securitySchemes: {
        oauth2: {
          type: "oauth2",
          description: `Access tokens of this server for the resource \`${issuer}${API_PATH}\`: bearer tokens, or bound to a key by DPoP (RFC 9449).`,
          flows: {
            clientCredentials: { tokenUrl: urls.tokenUrl, scopes },
            authorizationCode: { authorizationUrl: `${issuer}/oauth/authorize`, ...urls },
          },
        },
      },
      responses: Object.fromEntries(
        (Object.keys(PROBLEMS) as ProblemName[]).map((name) => [responseName(name), problemResponse(issuer, name)]),
      ),
    },
  });
}

/** What a scope opens beyond its noun. */
const MIGHT: Readonly<Record<string, string>> = {
  "grantor:identity-providers:write": "whoever may do so can let a provider of theirs vouch for anybody, administrators included",
};

const scopeWords = (scope: string): string => {
  const [, noun, verb] = scope.split(":");
  const might = MIGHT[scope];
  return `${verb === "read" ? "See" : "Change"} ${noun}${might === undefined ? "" : `: ${might}`}`;
};

function describe(endpoint: Endpoint): ZodOpenApiOperationObject {
  const { operationId, tag, summary, description, scope, params, query } = endpoint;
  const isListing = endpoint.kind === "listing";
  const header = headersOf(endpoint);
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    security: [{ oauth2: [scope] }],
    requestParams: {
      ...(params !== undefined && { path: z.object(params) }),
      ...((isListing || query !== undefined) && { query: z.object({ ...query, ...(isListing && PAGING) }) }),
      ...(Object.keys(header).length > 0 && { header: z.object(header) }),
    },
    ...(endpoint.kind === "operation" &&
      endpoint.body !== undefined && {
        requestBody: { required: !endpoint.body.safeParse({}).success, content: { "application/json": { schema: endpoint.body } } },
      }),
    responses: { ...successOf(endpoint), ...problemsOf(endpoint) },
  };
}

function headersOf(endpoint: Endpoint): Record<string, z.ZodType> {
  if (endpoint.kind === "listing") return {};
  const { method, needsMatch, lines } = endpoint;
  return {
    ...(needsMatch && { "If-Match": z.string().describe("The `ETag` of what you have seen, or `*`.").meta({ example: "*" }) }),
    ...(method === "GET" &&
      lines === undefined && { "If-None-Match": z.string().optional().describe("Answers 304 while nothing has changed.") }),
    ...(method === "POST" && {
      "Idempotency-Key": z
        .string()
        .max(255)
        .optional()
        .describe("Of your choice, new for each request: with it the same request may be sent again."),
    }),
  };
}

function successOf(endpoint: Endpoint): Record<string, ZodOpenApiResponseObject> {
  if (endpoint.kind === "listing") {
    const schema = z.object({
      items: z.array(endpoint.item),
      next: z.string().optional().describe("`cursor` of the following page; absent on the last."),
    });
    return { 200: { description: "A page", content: { "application/json": { schema } } } };
  }
  const { method, status = 200, response, lines, location } = endpoint;
  if (response === undefined) return { 204: { description: "Done" } };
  if (lines !== undefined) return { 200: { description: "One JSON document a line", content: { [LINES]: { schema: response } } } };
  const headers = z.object({
    ...(isTagged(endpoint) && { ETag: tagHeader }),
    ...(location !== undefined && { Location: z.string().describe("Where it is.") }),
  });
  return {
    [status]: { description: status === 201 ? "Made" : "Done", headers, content: { "application/json": { schema: response } } },
    ...(method === "GET" && { 304: { description: "Nothing has changed" } }),
  };
}

function problemsOf(endpoint: Endpoint): Record<string, { $ref: string }> {
  const names: ProblemName[] = ["invalid-input", "unauthorized", "insufficient-scope", "server-error", "unavailable"];
  if (endpoint.path.includes("{")) names.push("not-found");
  if (endpoint.kind === "operation") {
    if (endpoint.body !== undefined) names.push("content-too-large", "unsupported-media-type");
    if (endpoint.needsMatch) names.push("precondition-failed", "precondition-required");
    if (endpoint.method === "POST") names.push("idempotency-key-reused");
    if (endpoint.method !== "GET") names.push("conflict");
  }
  return Object.fromEntries(names.map((name) => [PROBLEMS[name].status, { $ref: `#/components/responses/${responseName(name)}` }]));
}

const responseName = (problem: ProblemName): string => problem.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());

function problemResponse(issuer: string, name: ProblemName): ZodOpenApiResponseObject {
  const { status, title, about } = PROBLEMS[name];
  return {
    description: `${title}. ${about}`,
    content: {
      "application/problem+json": {
        schema: problemSchema,
        example: { type: problemType(issuer, name), title, status, detail: about, request_id: "5f0c4f1fa1d2b3c4" },
      },
    },
  };
}
