/** The management API, from what it says of itself: every operation of the OpenAPI document is called well, and in every way that is wrong. */
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, it } from "vitest";
import { MANAGEMENT_SCOPES } from "../../src/operations/management-scopes.ts";
import { describeFlows } from "../support/flows.ts";
import { whoMayCall } from "../support/management-access.ts";
import {
  type ApiAnswer,
  createChecker,
  type DescribedOperation,
  type ManagementApi,
  managementApi,
  operationsOf,
} from "../support/management-api.ts";
import type { Maker, Order } from "../support/management-maker.ts";
import { makers } from "../support/management-objects.ts";
import { whatOrdersComeTo } from "../support/management-orders.ts";

/** Of no kind of object. */
const UNKNOWN = "0nothing-has-this-id";

describeFlows("the management API", (flow) => {
  let api: ManagementApi;
  let operations: DescribedOperation[];
  let check: ReturnType<typeof createChecker>;

  beforeAll(async () => {
    api = await managementApi(flow.grantor);
    const document = await (await fetch(`${flow.grantor.url}/api/openapi.json`)).json();
    operations = operationsOf(document);
    check = createChecker(document as object);
  });

  const fill = (path: string, params: Record<string, string> = {}) =>
    path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? UNKNOWN));
  const targetOf = ({ path }: DescribedOperation, { params, query }: Order) =>
    fill(path, params) + (query === undefined ? "" : `?${new URLSearchParams(query)}`);
  const headersOf = ({ method, parameters }: DescribedOperation): Record<string, string> =>
    method === "PUT" || method === "DELETE" || parameters.some(({ name }) => name === "If-Match") ? { "If-Match": "*" } : {};
  /** As the maker says, but for what is given. */
  const call = (
    operation: DescribedOperation,
    order: Order,
    other: { path?: string; body?: unknown; token?: string | null; headers?: Record<string, string> } = {},
  ) =>
    api.call(operation.method, other.path ?? targetOf(operation, order), {
      headers: { ...headersOf(operation), ...other.headers },
      ...("body" in other ? { body: other.body } : { body: order.body }),
      ...(other.token !== undefined && { token: other.token }),
    });
  /** RFC 9457, with a type that opens, and nothing of the inside. */
  const expectProblem = ({ status, headers, body }: ApiAnswer, expected: number | number[], what: string) => {
    expect([expected].flat(), `${what}: ${status} ${JSON.stringify(body)}`).toContain(status);
    expect(headers.get("content-type"), what).toBe("application/problem+json; charset=utf-8");
    expect(check({ $ref: "#/components/schemas/Problem" }, body), what).toBeUndefined();
    expect(body.status).toBe(status);
    expect(JSON.stringify(body)).not.toMatch(/prisma|at .*[.]ts:|node_modules|stack/i);
  };
  /** For what is refused, and so changes nothing. */
  const kept = new Map<string, Order>();
  async function orderFor({ operationId }: DescribedOperation, changes: boolean): Promise<Order> {
    const known = changes ? undefined : kept.get(operationId);
    const order = known ?? (await (makers[operationId] as Maker)(api));
    if (!changes) kept.set(operationId, order);
    return order;
  }
  /** Does the work for every operation, where it changes something each with an object of its own, and tells of all that fail. */
  const each = async (
    work: (operation: DescribedOperation, order: Order) => Promise<void>,
    only: (operation: DescribedOperation) => boolean = () => true,
    { changes = false } = {},
  ) => {
    const failed: string[] = [];
    for (const operation of operations.filter((one) => only(one) && one.operationId in makers)) {
      try {
        await work(operation, await orderFor(operation, changes));
      } catch (error) {
        failed.push(`${operation.operationId}: ${error instanceof Error ? error.message : error}`);
      }
    }
    expect(failed).toEqual([]);
  };

  it("knows no operation that is not tried here, and none is tried that there is not", () => {
    expect(Object.keys(makers).sort()).toEqual(operations.map(({ operationId }) => operationId).sort());
  });

  /** Who asks comes before what is asked about: nothing need be there. */
  const ofNothing = async (work: (operation: DescribedOperation, order: Order) => Promise<void>) => {
    for (const operation of operations) await work(operation, {});
  };

  it("wants a token, and says which", () =>
    ofNothing(async (operation, order) => {
      const nobody = await call(operation, order, { token: null });
      expectProblem(nobody, 401, operation.operationId);
      expect(nobody.headers.get("www-authenticate")).toContain(`scope="${operation.scope}"`);
      expect(nobody.headers.get("www-authenticate")).not.toContain("error=");
      const stranger = await call(operation, order, { token: "no.such.token" });
      expectProblem(stranger, 401, operation.operationId);
      expect(stranger.headers.get("www-authenticate")).toContain('error="invalid_token"');
    }));

  it("wants the scope of the operation", () =>
    ofNothing(async (operation, order) => {
      const others = await api.token(MANAGEMENT_SCOPES.filter((scope) => scope !== operation.scope));
      const refused = await call(operation, order, { token: others });
      expectProblem(refused, 403, operation.operationId);
      expect(refused.headers.get("www-authenticate")).toMatch(/error="insufficient_scope".*scope="/);
      expect(refused.headers.get("www-authenticate")).toContain(`scope="${operation.scope}"`);
    }));

  it("finds nothing under an id that is none, or is something else's", () =>
    each(
      async (operation, order) => {
        const names = Object.keys(order.params ?? {});
        for (const name of names)
          await Promise.all(
            [UNKNOWN, flow.grantor.url, "00000000-0000-4000-8000-000000000000", "ünïcode", "a".repeat(3000)].map(async (other) => {
              const answer = await call(operation, { ...order, params: { ...order.params, [name]: other } });
              expectProblem(answer, 404, `${operation.operationId} ${name} ${other.slice(0, 40)}`);
            }),
          );
      },
      ({ path }) => path.includes("{"),
    ));

  it("knows one spelling of a path alone", () =>
    each(async (operation, order) => {
      const path = fill(operation.path, order.params);
      const last = path.slice(path.lastIndexOf("/") + 1);
      const head = path.slice(0, path.lastIndexOf("/"));
      const tricks = [
        `${path}/`,
        `/${path}`,
        `${head}//${last}`,
        `${path};a=b`,
        `${path}%2f`,
        `${path}%2F..`,
        `${path}%00`,
        `${path}%0a`,
        `${path}%`,
        `${path}%c0%af`,
        `${path}/%2e%2e/${last}`,
        `${head}/%2e%2e%2f${last}`,
        `${head}/${last.toUpperCase()}x`,
        `${path}.json`,
        ...(path === path.toUpperCase() ? [] : [path.slice(0, 2).toUpperCase() + path.slice(2)]),
      ];
      // Where a word stands beside ids, what is no word is an id, of which the method may be unknown.
      await Promise.all(
        tricks.map(async (trick) =>
          expectProblem(await call(operation, order, { path: trick }), [400, 404, 405], `${operation.operationId} ${trick}`),
        ),
      );
    }));

  it("names what is wrong in a body", () =>
    each(
      async (operation, order) => {
        const body = (order.body ?? {}) as Record<string, unknown>;
        const unknown = await call(operation, order, { body: { ...body, no_such_member: 1 } });
        expectProblem(unknown, 400, operation.operationId);
        expect(unknown.body.errors.map(({ field }: { field: string }) => field)).toContain("/no_such_member");
        const { properties = {} } = resolve(operation.body as Schema);
        for (const [name, schema] of Object.entries(properties)) {
          const wrong = [7.5, { "": [] }, [[]], "\u00a7 \u202e", true, null].find((value) => check(schema, value) !== undefined);
          if (wrong === undefined) continue;
          const answer = await call(operation, order, { body: { ...body, [name]: wrong } });
          expectProblem(answer, 400, `${operation.operationId} ${name}`);
          const fields = answer.body.errors.map(({ field }: { field: string }) => field);
          expect(
            fields.some((field: string) => field === `/${name}` || field.startsWith(`/${name}/`)),
            `${operation.operationId} ${name} ${fields}`,
          ).toBe(true);
        }
        for (const [text, status, type] of [
          ["{", 400, "application/json"],
          [`{"a":"\\u0000"}`, 400, "application/json"],
          [`{"a":"\\ud800"}`, 400, "application/json"],
          [`${"[".repeat(5000)}${"]".repeat(5000)}`, 400, "application/json"],
          ["a=b", 415, "application/x-www-form-urlencoded"],
          [JSON.stringify(body), 415, "text/plain"],
          [JSON.stringify(body), 415, "application/json; charset=iso-8859-1"],
          [JSON.stringify({ a: "x".repeat(300_000) }), 413, "application/json"],
        ] as const) {
          const answer = await call(operation, order, { body: text, headers: { "Content-Type": type } });
          expectProblem(answer, status, `${operation.operationId} ${text.slice(0, 30)} as ${type}`);
        }
      },
      ({ body }) => body !== undefined,
    ));

  interface Schema {
    $ref?: string;
    properties?: Record<string, object>;
  }
  const resolve = (schema: Schema): Schema => schema;

  it("takes cursors of its own alone, and parameters that it knows", () =>
    each(async (operation, order) => {
      const target = targetOf(operation, order);
      const and = target.includes("?") ? "&" : "?";
      const forged = Buffer.from(JSON.stringify(["a", 1])).toString("base64url");
      for (const cursor of ["", "a", "a.b", `${forged}.${"A".repeat(22)}`, "x".repeat(5000)]) {
        const answer = await call(operation, order, { path: `${target}${and}cursor=${encodeURIComponent(cursor)}` });
        expectProblem(answer, 400, `${operation.operationId} ${cursor.slice(0, 20)}`);
        expect(answer.body.errors[0].field).toBe("query/cursor");
      }
      for (const [query, field] of [
        ["limit=0", "query/limit"],
        ["limit=201", "query/limit"],
        ["limit=x", "query/limit"],
        ["no_such=1", "query/no_such"],
        ["limit=1&limit=2", "query/limit"],
      ] as const) {
        const answer = await call(operation, order, { path: `${target}${and}${query}` });
        expectProblem(answer, 400, `${operation.operationId} ${query}`);
        expect(answer.body.errors.map((error: { field: string }) => error.field)).toContain(field);
      }
      const first = await call(operation, order, { path: `${target}${and}limit=1` });
      expect(first.body.items.length).toBeLessThanOrEqual(1);
      if (first.body.next === undefined) return;
      expect(first.headers.get("link")).toMatch(/^<\/api\/v1\/.*cursor=.*>; rel="next"$/);
      const second = await call(operation, order, { path: `${target}${and}limit=1&cursor=${first.body.next}` });
      expect(second.status, JSON.stringify(second.body)).toBe(200);
      expect(second.body.items).not.toEqual(first.body.items);
      // Of another list it is none.
      const elsewhere = operations.find(
        (other) => isListing(other) && other.operationId !== operation.operationId && !other.path.includes("{"),
      );
      if (elsewhere !== undefined)
        expectProblem(await call(elsewhere, {}, { path: `${elsewhere.path}?cursor=${first.body.next}` }), 400, "a cursor of another list");
    }, isListing));

  it("changes nothing that was changed meanwhile, and wants to know what was seen", () =>
    each(
      async (operation, order) => {
        const without = await call(operation, order, { headers: { "If-Match": "" } });
        expectProblem(without, 428, operation.operationId);
        for (const tag of ['"an-older-one"', 'W/"weak"', '"a", "b"']) {
          const stale = await call(operation, order, { headers: { "If-Match": tag } });
          expectProblem(stale, 412, `${operation.operationId} ${tag}`);
        }
        const seen = await api.call("GET", fill(operation.path, order.params));
        const tag = seen.headers.get("etag");
        expect(tag, operation.operationId).toMatch(/^"[\w-]{43}"$/);
        const again = await api.call("GET", fill(operation.path, order.params), { headers: { "If-None-Match": tag as string } });
        expect([again.status, again.body]).toEqual([304, ""]);
        const done = await call(operation, order, { headers: { "If-Match": `"other", ${tag}` } });
        expect(done.status, `${operation.operationId} ${JSON.stringify(done.body)}`).toBeLessThan(300);
        if (operation.method === "DELETE") return;
        const now = await api.call("GET", fill(operation.path, order.params));
        expect(done.headers.get("etag"), operation.operationId).toBe(now.headers.get("etag"));
      },
      ({ parameters }) => parameters.some(({ name }) => name === "If-Match"),
      { changes: true },
    ));

  it("knows no version of what has none", () =>
    each(
      async (operation, order) => {
        const refused = await call(operation, order, { headers: { "If-Match": '"a-version"' } });
        expectProblem(refused, 412, operation.operationId);
        expect(refused.body.errors[0].field).toBe("header/If-Match");
      },
      ({ method, parameters }) => method !== "GET" && !parameters.some(({ name }) => name === "If-Match"),
    ));

  it("carries a repeated POST out once", () =>
    each(
      async (operation, order) => {
        const headers = { "Idempotency-Key": `"${operation.operationId}-${Math.random()}"` };
        const answers = await Promise.all([1, 2, 3].map(() => call(operation, order, { headers })));
        for (const answer of answers) if (answer.status >= 300) expectProblem(answer, 409, operation.operationId);
        const done = answers.find(({ status }) => status < 300) as ApiAnswer;
        expect(done, JSON.stringify(answers)).toBeDefined();
        const again = await repeated(() => call(operation, order, { headers }));
        expect([again.status, again.body]).toEqual([done.status, done.body]);
        expect(again.headers.get("etag")).toBe(done.headers.get("etag"));
        expect(again.headers.get("location")).toBe(done.headers.get("location"));
        const another = await call(operation, order, { headers, path: `${targetOf(operation, order)}?` });
        expectProblem(another, 422, operation.operationId);
        expectProblem(await call(operation, order, { headers: { "Idempotency-Key": 'a "b"' } }), 400, "a key that is none");
      },
      ({ method }) => method === "POST",
      { changes: true },
    ));

  /** Of several at once the others are told to come again. */
  async function repeated(work: () => Promise<ApiAnswer>): Promise<ApiAnswer> {
    for (;;) {
      const answer = await work();
      if (answer.status !== 409 || !String(answer.body.type).endsWith("/request-in-progress")) return answer;
      await sleep(20);
    }
  }

  it("does what it says, and answers as it is described", () =>
    each(async (operation, order) => {
      const answer = await call(operation, order);
      const { operationId, responses } = operation;
      expect(answer.status, `${operationId} ${JSON.stringify(answer.body)}`).toBeLessThan(300);
      const described = responses[String(answer.status)];
      expect(described, `${operationId} ${answer.status}`).toBeDefined();
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      expect(answer.headers.get("set-cookie")).toBeNull();
      for (const name of Object.keys(described?.headers ?? {})) expect(answer.headers.get(name), `${operationId} ${name}`).not.toBeNull();
      const [type, content] = Object.entries(described?.content ?? {})[0] ?? [];
      if (content === undefined) return expect(answer.body).toBe("");
      expect(answer.headers.get("content-type")).toContain(type);
      const values =
        type === "application/jsonl"
          ? String(answer.body)
              .trimEnd()
              .split("\n")
              .filter(Boolean)
              .map((line) => JSON.parse(line))
          : [answer.body];
      for (const value of values) expect(check(content.schema, value), `${operationId} ${JSON.stringify(value)}`).toBeUndefined();
      const location = answer.headers.get("location");
      if (location === null) return;
      const there = await api.call("GET", location.slice("/api/v1".length));
      expect([there.status, there.headers.get("etag")], operationId).toEqual([200, answer.headers.get("etag")]);
    }));

  it("answers methods that a path does not know with those that it does", async () => {
    for (const { path, operationId } of operations) {
      const known = operations.filter((other) => other.path === path).map(({ method }) => method);
      const other = ["PUT", "DELETE", "PATCH", "POST", "GET"].find((method) => !known.includes(method)) as string;
      const answer = await api.call(other, fill(path));
      expectProblem(answer, 405, operationId);
      expect(known.every((method) => answer.headers.get("allow")?.split(", ").includes(method))).toBe(true);
      expectProblem(
        await api.call("OPTIONS", fill(path), { headers: { Origin: "https://evil.example", "Access-Control-Request-Method": "GET" } }),
        405,
        path,
      );
    }
    expectProblem(await api.call("GET", "/nothing"), 404, "nothing");
  });

  whoMayCall(flow, () => api);
  whatOrdersComeTo(flow, () => api);
});

const isListing = ({ method, parameters }: DescribedOperation) => method === "GET" && parameters.some(({ name }) => name === "cursor");
