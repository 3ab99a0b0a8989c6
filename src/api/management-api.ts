/** The management API, joined: its endpoints, its description, and what answers requests. How an endpoint is added stands in endpoint.ts. */
import { hash } from "node:crypto";
import type { Middleware } from "koa";
import { sendDocument } from "../http/document.ts";
import type { Render } from "../http/pages.ts";
import type { AuditOperations } from "../operations/audit-operations.ts";
import type { GrantOperations } from "../operations/grant-operations.ts";
import type { IdempotentRequests } from "../operations/idempotent-requests.ts";
import type { KeyOperations } from "../operations/key-operations.ts";
import type { ProviderOperations } from "../operations/provider-operations.ts";
import type { RegistrationTokenOperations } from "../operations/registration-token-operations.ts";
import type { ResourceOperations } from "../operations/resource-operations.ts";
import type { RoleOperations } from "../operations/role-operations.ts";
import type { SessionOperations } from "../operations/session-operations.ts";
import { type AccessOptions, createAccess } from "./access.ts";
import { accountEndpoints } from "./account-endpoints.ts";
import type { AccountEndpoints } from "./account-order-endpoints.ts";
import { auditEndpoints } from "./audit-endpoints.ts";
import { type ClientEndpoints, clientEndpoints } from "./client-endpoints.ts";
import { createCursors } from "./cursors.ts";
import { DESCRIPTION_PATH, describeApi } from "./description.ts";
import { descriptionPages } from "./description-pages.ts";
import type { Endpoint } from "./endpoint.ts";
import { grantEndpoints } from "./grant-endpoints.ts";
import { identityProviderEndpoints } from "./identity-provider-endpoints.ts";
import { keyEndpoints } from "./key-endpoints.ts";
import { registrationTokenEndpoints } from "./registration-token-endpoints.ts";
import { apiRequests } from "./requests.ts";
import { resourceEndpoints } from "./resource-endpoints.ts";
import { roleEndpoints } from "./role-endpoints.ts";
import { API_PATH } from "./routes.ts";
import { sessionEndpoints } from "./session-endpoints.ts";

/** What the endpoints ask: operations, one for each noun. */
export interface ManagementOperations {
  readonly accounts: AccountEndpoints;
  readonly clients: ClientEndpoints;
  readonly grants: GrantOperations;
  readonly sessions: SessionOperations;
  readonly resources: ResourceOperations;
  readonly roles: RoleOperations;
  readonly identityProviders: ProviderOperations;
  readonly registrationTokens: RegistrationTokenOperations;
  readonly keys: KeyOperations;
  readonly audit: AuditOperations;
}

export function managementEndpoints(operations: ManagementOperations, issuer: string): readonly Endpoint[] {
  return [
    ...accountEndpoints(operations.accounts),
    ...clientEndpoints(operations.clients),
    ...grantEndpoints(operations.grants),
    ...sessionEndpoints(operations.sessions),
    ...resourceEndpoints(operations.resources),
    ...roleEndpoints(operations.roles),
    ...keyEndpoints(operations.keys),
    ...identityProviderEndpoints(operations.identityProviders, issuer),
    ...registrationTokenEndpoints(operations.registrationTokens),
    ...auditEndpoints(operations.audit),
  ];
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
  const endpoints = managementEndpoints(operations, issuer);
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
