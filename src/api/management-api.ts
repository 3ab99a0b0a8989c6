/** The management API, joined: its endpoints, its description, and what answers requests. How an endpoint is added stands in endpoint.ts. */
import { hash } from "node:crypto";
import type { Middleware } from "koa";
import { sendDocument } from "../http/document.ts";
import type { Render } from "../http/pages.ts";
import type { IdempotentRequests } from "../operations/idempotent-requests.ts";
import type { KeyOperations } from "../operations/key-operations.ts";
import { type AccessOptions, createAccess } from "./access.ts";
import { createCursors } from "./cursors.ts";
import { DESCRIPTION_PATH, describeApi } from "./description.ts";
import { descriptionPages } from "./description-pages.ts";
import type { Endpoint } from "./endpoint.ts";
import { keyEndpoints } from "./key-endpoints.ts";
import { apiRequests } from "./requests.ts";
import { API_PATH } from "./routes.ts";

/** What the endpoints ask: operations, one for each noun. */
export interface ManagementOperations {
  readonly keys: KeyOperations;
}

export function managementEndpoints(operations: ManagementOperations): readonly Endpoint[] {
  return [...keyEndpoints(operations.keys)];
}

export interface ManagementApiOptions extends AccessOptions {
  readonly operations: ManagementOperations;
  readonly render: Render;
  /** Of cursors: the first makes them, all are accepted. */
  readonly cursorKeys: readonly Buffer[];
  readonly idempotent: IdempotentRequests;
}

/** Seconds: the description changes with the program alone. */
const DESCRIPTION_AGE = 300;

/** Answers `/api` and everything below it; what else there is it lets pass. */
export function managementApi(options: ManagementApiOptions): Middleware {
  const { issuer, operations, render, cursorKeys, idempotent } = options;
  const endpoints = managementEndpoints(operations);
  const requests = apiRequests({ issuer, endpoints, authorize: createAccess(options), cursors: createCursors(cursorKeys), idempotent });
  const described = describeApi(issuer, endpoints);
  const body = JSON.stringify(described);
  const document = {
    body,
    etag: `"${hash("sha256", body, "base64url")}"`,
    cacheControl: `public, max-age=${DESCRIPTION_AGE}`,
    contentType: "application/json; charset=utf-8",
  };
  const pages = descriptionPages({ render, described, download: DESCRIPTION_PATH });

  return (ctx, next) => {
    const { path, method } = ctx;
    if (path === API_PATH || path.startsWith(`${API_PATH}/`)) return requests(ctx, next);
    if (path === DESCRIPTION_PATH && (method === "GET" || method === "HEAD")) return sendDocument(ctx, document);
    return pages(ctx, next);
  };
}
