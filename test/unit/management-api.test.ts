/** Parts of the management API that need no server: paths, cursors, entity tags, what a request says, problems, the description. */
import { Readable } from "node:stream";
import { Validator } from "@seriousme/openapi-schema-validator";
import fc from "fast-check";
import type { Context } from "koa";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { AccountError } from "../../src/accounts/account-error.ts";
import { createCursors } from "../../src/api/cursors.ts";
import { type Endpoint, listing, operation, pageOf } from "../../src/api/endpoint.ts";
import { entityTag, expectationOf } from "../../src/api/entity-tags.ts";
import { PROBLEMS, Problem, problemOf } from "../../src/api/problems.ts";
import { readBody, readParams, readQuery, schemasOf } from "../../src/api/request-input.ts";
import { compileRoutes } from "../../src/api/routes.ts";
import { timeSchema } from "../../src/api/schemas.ts";
import { ClientError } from "../../src/clients/client-error.ts";
import { FederationError } from "../../src/federation/federation-error.ts";
import { SigningKeyError } from "../../src/keys/key-rows.ts";
import { MANAGEMENT_SCOPES } from "../../src/operations/management-scopes.ts";
import { StoreUnavailableError } from "../../src/storage/record-store.ts";
import { apiDescription } from "../support/api-page-samples.ts";
import { operationsOf } from "../support/management-api.ts";

const problemFrom = (work: () => unknown): Problem => {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
};

const endpoint = (path: string, method: "GET" | "POST" | "PATCH" = "GET"): Endpoint =>
  operation({
    path,
    method,
    operationId: `${method}${path}`,
    tag: "t",
    summary: "",
    scope: "grantor:keys:read",
    handle: async () => undefined,
  });

describe("a path", () => {
  const one = endpoint("/things/{thing}");
  const find = compileRoutes([
    endpoint("/things"),
    endpoint("/things", "POST"),
    one,
    endpoint("/things/all/count"),
    endpoint("/things/{thing}/parts/{part}"),
  ]);

  it("finds one endpoint, and each parameter decoded once", () => {
    expect(find("/things")?.endpoints.size).toBe(2);
    expect(find("/things/a%2Fb%252F")).toMatchObject({ params: { thing: "a/b%2F" } });
    expect(find("/things/a/parts/b")?.params).toEqual({ thing: "a", part: "b" });
    expect(find("/things/a")?.endpoints.get("GET")).toBe(one);
  });

  it.each([
    "",
    "/",
    "//things",
    "/things/",
    "/things//",
    "/Things",
    "/things/a/",
    "/things/a/parts",
    "/things/all",
    "/thing%73",
    "/things;a=b",
  ])("is nothing as %j", (path) => {
    expect(path === "/things/all" ? find(path)?.endpoints.get("POST") : find(path)).toBeUndefined();
  });

  it.each(["/things/%", "/things/%zz", "/things/%c0%af", "/things/%ff"])("is malformed as %j", (path) => {
    expect(problemFrom(() => find(path)).problem).toBe("malformed-request");
  });

  it("is described once", () => {
    expect(() => compileRoutes([one, endpoint("/things/{thing}")])).toThrow("described twice");
    expect(() => compileRoutes([one, endpoint("/things/{other}/parts")])).toThrow("{thing} stands there already");
  });

  it("never finds one id under two spellings", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", minLength: 1 }).filter((id) => id.isWellFormed()),
        (id) => {
          expect(find(`/things/${encodeURIComponent(id)}`)?.params.thing).toBe(id);
        },
      ),
    );
  });
});

describe("a cursor", () => {
  const [key, older] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const cursors = createCursors([key]);

  it("opens for the list that it was made for, under every key that counts", () => {
    const position = ["2026-01-01", 7] as const;
    const cursor = createCursors([older]).make(position, "accounts");
    expect(createCursors([key, older]).open(cursor, "accounts")).toEqual(position);
    for (const [which, list] of [
      [cursors, "accounts"],
      [createCursors([older]), "clients"],
    ] as const)
      expect(problemFrom(() => which.open(cursor, list)).problem).toBe("invalid-cursor");
  });

  it("cannot be made up, nor changed", () => {
    const cursor = cursors.make("a", "accounts");
    fc.assert(
      fc.property(fc.string(), fc.nat(cursor.length - 1), (text, at) => {
        const changed = cursor.slice(0, at) + text + cursor.slice(at + 1);
        fc.pre(changed !== cursor && Buffer.from(changed.split(".")[1] ?? "", "base64url").toString("base64url") === changed.split(".")[1]);
        expect(problemFrom(() => cursors.open(changed, "accounts")).problem).toBe("invalid-cursor");
      }),
    );
    for (const wrong of ["", ".", "..", cursor.slice(1), `${cursor}.`, "x".repeat(9_000)])
      expect(problemFrom(() => cursors.open(wrong, "accounts")).problem).toBe("invalid-cursor");
  });
});

describe("a page of what is in memory", () => {
  it("goes on after the last item, also when items come and go", () => {
    const page = (all: readonly string[], after?: string) =>
      pageOf(
        all,
        { limit: 2, after, params: {}, query: {} },
        (one) => one,
        (one) => one.toUpperCase(),
      );
    expect(page(["a", "b", "c"])).toEqual({ items: ["A", "B"], next: "b" });
    expect(page(["a", "bb", "c"], "b")).toEqual({ items: ["BB", "C"], next: undefined });
    expect(page([], "b")).toEqual({ items: [], next: undefined });
  });
});

describe("an entity tag", () => {
  it("is that of the representation, however its members are written, and without what is shown once", () => {
    expect(entityTag({ a: 1, b: { c: [1, 2], d: 3 } })).toBe(entityTag({ b: { d: 3, c: [1, 2] }, a: 1 }));
    expect(entityTag({ a: 1 })).not.toBe(entityTag({ a: 2 }));
    expect(entityTag({ a: [1, 2] })).not.toBe(entityTag({ a: [2, 1] }));
    expect(entityTag({ a: 1, secret: "s" }, ["secret"])).toBe(entityTag({ a: 1 }));
  });

  it("is compared strongly (RFC 9110 §13.1.1)", () => {
    const tag = entityTag({ a: 1 });
    for (const fits of ["", "*", tag, `"x", ${tag}`, `${tag} ,"x"`]) expectationOf(fits)({ a: 1 });
    for (const not of [`W/${tag}`, '"x"', tag.slice(1, -1), "x", '"x",*', '"x,*,y"', '"*"'])
      expect(problemFrom(() => expectationOf(not)({ a: 1 })).problem).toBe("precondition-failed");
  });
});

describe("what a request says", () => {
  const schemas = schemasOf(
    listing({
      path: "/t/{id}",
      operationId: "t",
      tag: "t",
      summary: "",
      scope: "grantor:keys:read",
      params: { id: z.string().max(5) },
      query: { name: z.string().optional(), since: timeSchema.optional() },
      item: z.string(),
      handle: async () => ({ items: [], next: undefined }),
    }),
  );
  const fieldsOf = (work: () => unknown) => problemFrom(work).errors.map(({ field }) => field);

  it("names every parameter that is wrong, unknown or given twice", () => {
    expect(readQuery(schemas.query, "?limit=7&name=a%20b")).toEqual({ limit: 7, name: "a b" });
    expect(readQuery(schemas.query, "")).toEqual({ limit: 50 });
    expect(fieldsOf(() => readQuery(schemas.query, "?limit=0&other=1&name=a&name=b"))).toEqual([
      "query/name",
      "query/limit",
      "query/other",
    ]);
    expect(fieldsOf(() => readQuery(schemas.query, "?name=%00"))).toEqual(["query/name"]);
    expect(fieldsOf(() => readQuery(schemas.query, "?__proto__=1"))).toEqual(["query/__proto__"]);
    expect(fieldsOf(() => readQuery(schemas.query, "?since=0000-12-31T23:59:59Z"))).toEqual(["query/since"]);
    expect(readQuery(schemas.query, "?since=0001-01-01T00:00:00Z")).toEqual({ limit: 50, since: "0001-01-01T00:00:00Z" });
  });

  it("finds nothing under what can be no id", () => {
    expect(readParams(schemas.params, { id: "a" })).toEqual({ id: "a" });
    for (const id of ["a\0", "a\n", "\x7f", "\ud800", "too long"])
      expect(problemFrom(() => readParams(schemas.params, { id })).problem).toBe("not-found");
  });

  const sent = (body: string | Buffer, headers: Record<string, string> = {}, method = "POST") => {
    const req = Object.assign(fromChunks(body), { headers: { "content-length": String(Buffer.byteLength(body)), ...headers } });
    const given = { "content-type": "application/json", ...headers } as Record<string, string>;
    return { req, method, get: (name: string) => given[name.toLowerCase()] ?? "" } as unknown as Context;
  };
  const schema = z.strictObject({ name: z.string().optional(), deep: z.array(z.strictObject({ a: z.int() })).optional() });
  const refused = async (...given: Parameters<typeof sent>): Promise<Problem> =>
    readBody(sent(...given), schema).then(
      () => {
        throw new Error("it was taken");
      },
      (error) => error as Problem,
    );

  it("names every member that is wrong or unknown, by a JSON pointer", async () => {
    expect((await readBody(sent('{"name":"a"}'), schema)).body).toEqual({ name: "a" });
    expect((await readBody(sent(""), schema)).body).toEqual({});
    const { problem, errors } = await refused('{"name":1,"deep":[{"a":1},{"a":"x","b/c~":1}],"__proto__":{},"other":1}');
    expect(problem).toBe("invalid-input");
    expect(errors.map(({ field }) => field).sort()).toEqual(["/__proto__", "/deep/1/a", "/deep/1/b~1c~0", "/name", "/other"]);
  });

  it.each([
    ["{", "malformed-request", {}],
    ["[".repeat(40) + "]".repeat(40), "malformed-request", {}],
    ["[]", "invalid-input", {}],
    ['{"name":"\\u0000"}', "invalid-input", {}],
    ['{"name":"\\ud800"}', "invalid-input", {}],
    [`{"name":"${"x".repeat(300_000)}"}`, "content-too-large", {}],
    ["{}", "unsupported-media-type", { "content-type": "text/plain" }],
    ["{}", "unsupported-media-type", { "content-type": "application/json; charset=latin1" }],
    ["{}", "unsupported-media-type", { "content-type": "application/merge-patch+json" }],
    ["{}", "unsupported-media-type", { "content-encoding": "gzip" }],
  ] as const)("refuses %.20s", async (body, expected, headers) => {
    expect((await refused(body, headers)).problem).toBe(expected);
  });

  it("takes a merge patch where something is changed", async () => {
    const context = sent('{"name":"a"}', { "content-type": "application/merge-patch+json; charset=UTF-8" }, "PATCH");
    expect((await readBody(context, schema)).body).toEqual({ name: "a" });
  });

  it("takes no body where there is nothing to say", async () => {
    expect((await readBody(sent("{}"), undefined)).body).toBeUndefined();
    await expect(readBody(sent('{"a":1}'), undefined)).rejects.toMatchObject({ problem: "invalid-input" });
  });
});

describe("a problem", () => {
  it("is made of what the rooms throw, and of nothing that is not for strangers", () => {
    const cases: [unknown, string, number][] = [
      [new ClientError("not_found", "there is no such client"), "not-found", 404],
      [new ClientError("conflict", "there is one"), "conflict", 409],
      [new ClientError("invalid_resource", "x", { faults: [{ member: "scopes[0][name]", message: "must be" }] }), "invalid-input", 400],
      [new AccountError("email_taken", "It is taken."), "conflict", 409],
      [new AccountError("invalid_input", "No.", { faults: [{ field: "email", message: "must be one" }] }), "invalid-input", 400],
      [new AccountError("sign_up_closed", "Closed."), "forbidden", 403],
      [new AccountError("too_many_attempts", "Later.", { retryAfter: 7 }), "too-many-requests", 429],
      [new FederationError("changed_meanwhile", "It was."), "conflict", 409],
      [
        new FederationError("invalid_provider", "issuer: must be one", [{ member: "issuer", message: "must be one" }]),
        "invalid-input",
        400,
      ],
      [new SigningKeyError("There are none."), "conflict", 409],
      [new StoreUnavailableError(new Error("ECONNREFUSED 10.0.0.1")), "unavailable", 503],
      [new URIError("malformed"), "malformed-request", 400],
      [new TypeError("secret.ts:7 password=hunter2"), "server-error", 500],
      ["hunter2", "server-error", 500],
      [undefined, "server-error", 500],
    ];
    for (const [thrown, name, status] of cases) {
      const problem = problemOf(thrown);
      expect([problem.problem, problem.status]).toEqual([name, status]);
      expect(`${problem.message} ${JSON.stringify(problem.errors)}`).not.toMatch(/hunter2|10\.0\.0\.1/);
      expect(problem.message).toMatch(/^[A-Z].*[.]$/);
    }
    expect(problemOf(cases[2]?.[0]).errors).toEqual([{ field: "/scopes/0/name", message: "must be" }]);
    expect(problemOf(cases[8]?.[0]).errors).toEqual([{ field: "/issuer", message: "must be one" }]);
    expect(problemOf(cases[6]?.[0]).headers).toEqual({ "Retry-After": "7" });
    expect(problemOf(new StoreUnavailableError("gone")).headers).toHaveProperty("Retry-After");
  });
});

describe("the description", () => {
  const described = apiDescription();
  const operations = operationsOf(described);

  it("is valid OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(described) as unknown as Record<string, unknown>);
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
  });

  it("names scopes that there are, each used, and tags that are described", () => {
    const used = new Set(operations.map(({ scope }) => scope));
    expect([...used].filter((scope) => !MANAGEMENT_SCOPES.includes(scope))).toEqual([]);
    expect(MANAGEMENT_SCOPES.filter((scope) => !used.has(scope))).toEqual([]);
    const tags = new Set((described.tags ?? []).map(({ name }) => name));
    for (const item of Object.values(described.paths ?? {}))
      for (const { tags: own } of Object.values(item as Record<string, { tags: string[] }>)) expect(tags).toContain(own[0]);
  });

  it("names each operation once, and lets nothing be changed unseen", () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { method, responses, scope } of operations) {
      expect(scope.endsWith(method === "GET" ? ":read" : ":write")).toBe(true);
      for (const status of ["401", "403", "500", "503"]) expect(responses).toHaveProperty(status);
    }
  });

  it("has a response for each problem that it may answer with", () => {
    const { responses = {} } = described.components ?? {};
    expect(Object.keys(responses).length).toBe(Object.keys(PROBLEMS).length);
  });
});

async function* chunks(body: string | Buffer) {
  yield Buffer.from(body);
}
const fromChunks = (body: string | Buffer) => Readable.from(chunks(body));
