/** `/api`, the description for people, and `/api/problems/…`, what the `type` of problem details opens. */
import Router from "@koa/router";
import type { Middleware } from "koa";
import type { ApiMember, ApiOperation, ApiPageModels, Prose } from "../http/api-page-models.ts";
import type { Render } from "../http/pages.ts";
import { PROBLEMS_PATH } from "./answers.ts";
import type { ApiDescription } from "./description.ts";
import { PROBLEMS, type ProblemName } from "./problems.ts";

const PAGE_PATH = "/api";
/** Members deeper than this are read in the description for programs. */
const DEEPEST = 3;

export interface DescriptionPageOptions {
  render: Render;
  described: ApiDescription;
  /** Where it is for programs. */
  download: string;
}

export function descriptionPages({ render, described, download }: DescriptionPageOptions): Middleware {
  const model = descriptionModel(described, download);
  const router = new Router({ strict: true, sensitive: true });
  router.get(PAGE_PATH, (ctx) => render(ctx, "api/description", model));
  router.get(`${PROBLEMS_PATH}/:name`, (ctx) => {
    const { name } = ctx.params as { name: string };
    if (!Object.hasOwn(PROBLEMS, name)) return;
    const { status, title, about } = PROBLEMS[name as ProblemName];
    render(ctx, "api/problem", { status, heading: title, about: prose(about), description: PAGE_PATH });
  });
  return router.routes() as unknown as Middleware;
}

export const descriptionModel = (described: ApiDescription, download: string): ApiPageModels["api/description"] => ({
  download,
  groups: groupsOf(described),
});

/** What is read of the document. */
interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}
interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: { oauth2: string[] }[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: Schema }> }>;
}

function groupsOf({ tags = [], paths = {}, components }: ApiDescription) {
  const schemas = (components?.schemas ?? {}) as Record<string, Schema>;
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Record<string, Operation>).map(([method, operation]) => ({ path, method, operation })),
  );
  return tags.map(({ name, description = "" }) => ({
    name,
    about: prose(description),
    operations: operations
      .filter(({ operation }) => operation.tags.includes(name))
      .map(({ path, method, operation }) => operationView(path, method, operation, schemas)),
  }));
}

function operationView(path: string, method: string, operation: Operation, schemas: Record<string, Schema>): ApiOperation {
  const { operationId, summary, description = "", security, parameters = [], requestBody, responses } = operation;
  const [status = "204", success] = Object.entries(responses).find(([code]) => code.startsWith("2")) ?? [];
  const bodyOf = (content: Record<string, { schema: Schema }> | undefined) => {
    const [first] = Object.values(content ?? {});
    return first === undefined ? [] : membersOf(first.schema, schemas);
  };
  return {
    id: operationId,
    method: method.toUpperCase(),
    path,
    summary,
    about: prose(description),
    scope: security[0]?.oauth2[0] ?? "",
    parameters: parameters.map(({ name, in: place, required = false, description: about = "", schema }) => ({
      name,
      place,
      required,
      type: typeOf(schema, schemas),
      about: prose(about),
    })),
    body: bodyOf(requestBody?.content),
    status,
    answer: bodyOf(success?.content),
    problems: Object.values(responses).flatMap(({ $ref }) => {
      const name = $ref?.split("/").at(-1);
      const known = (Object.keys(PROBLEMS) as ProblemName[]).find((each) => each.replaceAll("-", "") === name?.toLowerCase());
      return known === undefined ? [] : [{ status: String(PROBLEMS[known].status), name: known, title: PROBLEMS[known].title }];
    }),
  };
}

function resolved(schema: Schema, schemas: Record<string, Schema>): Schema {
  if (schema.$ref === undefined) return schema;
  return schemas[schema.$ref.split("/").at(-1) as string] ?? {};
}

/** Every member, the deeper ones after the one that holds them. */
function membersOf(schema: Schema, schemas: Record<string, Schema>, before = "", depth = 0): ApiMember[] {
  const { properties = {}, required = [] } = resolved(schema, schemas);
  return Object.entries(properties).flatMap(([name, member]) => {
    const of = resolved(member, schemas);
    const inner = of.items ?? nonNull(of) ?? of;
    const below = `${before}${name}${of.items === undefined ? "" : "[]"}`;
    return [
      {
        name: before + name,
        type: typeOf(member, schemas),
        required: required.includes(name),
        about: prose(member.description ?? of.description ?? ""),
      },
      ...(depth < DEEPEST ? membersOf(inner, schemas, `${below}.`, depth + 1) : []),
    ];
  });
}

const nonNull = ({ anyOf }: Schema): Schema | undefined => anyOf?.find(({ type }) => type !== "null");

function typeOf(schema: Schema, schemas: Record<string, Schema>): string {
  const { type, format, enum: values, const: value, items, anyOf, oneOf } = resolved(schema, schemas);
  if (values !== undefined) return values.map((each) => JSON.stringify(each)).join(" | ");
  if (value !== undefined) return JSON.stringify(value);
  const either = anyOf ?? oneOf;
  if (either !== undefined) return [...new Set(either.map((each) => typeOf(each, schemas)))].join(" | ");
  if (items !== undefined) return `${typeOf(items, schemas)}[]`;
  if (format === "date-time" || format === "uri" || format === "email") return format;
  return type === undefined ? "any" : [type].flat().join(" | ");
}

/** Of Markdown, what descriptions use within a line: `code`. */
const prose = (markdown: string): Prose =>
  markdown.split("`").flatMap((text, index) => (text === "" ? [] : [{ text: text.replaceAll("**", ""), isCode: index % 2 === 1 }]));
