/**
 * api/ is the management API, `/api/v1`: a face of operations/ for programs. It says how an order is spoken over HTTP (paths, schemas, problems,
 * pages of lists, preconditions, repetitions) and nothing of what it means: rules and audit records are the operations'.
 *
 * An endpoint is added by describing it, in the list of its noun (`account-endpoints.ts`, `client-endpoints.ts`, `audit-endpoints.ts`, …), which
 * management-api.ts joins: `operation({...})` for what is about one thing, `listing({...})` for a page of many. Everything else follows from the
 * description: routes, checks of token and scope, validation, problem details, ETags, cursors, repetitions, OpenAPI and the generated test
 * (test/flows/management-api.test.ts), for which its noun has a maker of objects in test/support/management-objects.ts.
 *
 * - Paths are templates below `/api/v1`, such as `/accounts/{account_id}`; each parameter is one segment, percent-decoded exactly once.
 * - Schemas are zod: `.describe()` what a reader needs, `.meta({ id: "Account" })` names a component, `.meta({ example })` shows one. Members are
 *   `snake_case`. Bodies are strict at every depth (`z.strictObject`): what is not known is refused. Times go out as ISO 8601 strings.
 * - A view (`accountView(account): z.input<typeof accountSchema>`) makes the representation; the same view serves `expect`.
 * - Domain errors (ClientError, AccountError, FederationError, SigningKeyError) are thrown on: problems.ts makes problem details of them.
 * - `needsMatch` (PUT, PATCH and DELETE of one thing; 428 without `If-Match`): `handle` gets `expect`, and hands `(before) => expect(view(before))`
 *   to the operation, which hands it to the store, which calls it in its transaction (storage/expectation.ts). It throws 412. Whatever can be read
 *   one by one is changed in this way; all that changes something else takes no tag (412), and `*` as if it were not there.
 * - Every POST may be repeated with an `Idempotency-Key`. What it makes has a name of its own that is there once (an address, an audience), or takes the id that
 *   the caller brings: the process that carried it out may have died before it could say so.
 */
import type { z } from "zod";
import type { ManagementScope } from "../operations/management-scopes.ts";
import type { Operator } from "../operations/operator.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Shape = Readonly<Record<string, z.ZodType>>;
type Values<S extends Shape> = { readonly [K in keyof S]: z.output<S[K]> };

interface Described {
  /** Below `/api/v1`, such as `/accounts/{account_id}`. */
  readonly path: string;
  /** Of its own in the whole API, such as `getAccount`. */
  readonly operationId: string;
  /** The noun under which it is described. */
  readonly tag: string;
  /** One line; imperative. */
  readonly summary: string;
  /** Markdown, for what the summary does not say. */
  readonly description?: string;
  readonly scope: ManagementScope;
}

/** Who asks, for the operation. */
export interface Caller {
  readonly by: Operator;
  /** Of this API that the token holds: nobody gives, or takes over, more (containment.ts). */
  readonly scopes: readonly string[];
  /** The issuer's own origin, for links in mails. */
  readonly origin: string;
  /** For what a repeatable request makes and nothing else would keep from being made twice; undefined: any id will do. */
  readonly newId?: string | undefined;
}

export interface OperationInput<P extends Shape, Q extends Shape, B> {
  readonly params: Values<P>;
  readonly query: Values<Q>;
  readonly body: B;
  /** @throws {Problem} 412 when the representation is not the one of `If-Match`; without one it lets everything pass */
  expect(representation: unknown): void;
}

export interface OperationDefinition<P extends Shape, Q extends Shape, B extends z.ZodType, R extends z.ZodType> extends Described {
  readonly method: Method;
  /** One schema for each parameter of the path. */
  readonly params?: P;
  readonly query?: Q;
  /** Absent: it takes none. */
  readonly body?: B;
  /** Absent: 204, without a body. */
  readonly response?: R;
  /** Of success; 200 without it, or 204. 201 needs `location`. */
  readonly status?: 200 | 201 | 202;
  /** The path of what was made, below `/api/v1`, such as `/accounts/1234`. */
  readonly location?: (made: z.output<R>) => string;
  /** Members of the response that are never shown again (`client_secret`): they are no part of the representation that an ETag stands for. */
  readonly shownOnce?: readonly string[];
  /** 428 without `If-Match`. */
  readonly needsMatch?: boolean;
  /** The response is of this type, one JSON document a line, each by the schema `response`; `handle` gives what is iterated over. */
  readonly lines?: "application/jsonl";
  handle(input: OperationInput<P, Q, z.output<B>>, caller: Caller): Promise<z.input<R> | AsyncIterable<z.input<R>> | undefined>;
}

/** Where a list goes on: what the last item of a page is ordered by, in JSON. */
export type Position = string | number | readonly (string | number)[];

export interface ListingInput<P extends Shape, Q extends Shape> {
  readonly params: Values<P>;
  readonly query: Values<Q>;
  /** How many items, at most. */
  readonly limit: number;
  /** As the page before gave it; undefined: from the beginning. */
  readonly after: Position | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Undefined: this is the last page. */
  readonly next: Position | undefined;
}

export interface ListingDefinition<P extends Shape, Q extends Shape, R extends z.ZodType> extends Described {
  readonly params?: P;
  /** Filters: a cursor is good for the same ones alone. `limit` and `cursor` come by themselves. */
  readonly query?: Q;
  /** Of one item. */
  readonly item: R;
  handle(input: ListingInput<P, Q>, caller: Caller): Promise<Page<z.input<R>>>;
}

/** What the mechanism needs to know of any endpoint, whatever its schemas. */
export type Operation = OperationDefinition<Shape, Shape, z.ZodType, z.ZodType> & { readonly kind: "operation" };
export type Listing = ListingDefinition<Shape, Shape, z.ZodType> & { readonly kind: "listing"; readonly method: "GET" };
export type Endpoint = Operation | Listing;

type NoParams = Record<never, never>;

export const operation = <
  B extends z.ZodType = z.ZodUndefined,
  R extends z.ZodType = z.ZodUndefined,
  P extends Shape = NoParams,
  Q extends Shape = NoParams,
>(
  definition: OperationDefinition<P, Q, B, R>,
): Endpoint => ({ ...(definition as unknown as OperationDefinition<Shape, Shape, z.ZodType, z.ZodType>), kind: "operation" });

export const listing = <R extends z.ZodType, P extends Shape = NoParams, Q extends Shape = NoParams>(
  definition: ListingDefinition<P, Q, R>,
): Endpoint => ({ ...(definition as unknown as ListingDefinition<Shape, Shape, z.ZodType>), kind: "listing", method: "GET" });

/** Whether the answer is the representation of what is at the path: what a POST answers, unless it made it, need not be what a GET would. */
export const isTagged = ({ method, status }: Operation): boolean => method !== "DELETE" && (method !== "POST" || status === 201);

/** A page of what is in memory as a whole, or is few: in the order of `keyOf`, which names each. */
export function pageOf<T, R>(
  all: readonly T[],
  { limit, after }: ListingInput<Shape, Shape>,
  keyOf: (one: T) => string,
  view: (one: T) => R,
): Page<R> {
  const rest = after === undefined ? all : all.filter((one) => keyOf(one) > String(after));
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { items: items.map(view), next: rest.length > items.length && last !== undefined ? keyOf(last) : undefined };
}
