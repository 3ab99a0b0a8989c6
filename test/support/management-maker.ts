/** What makers of objects for calls of the management API have in common. */
import { randomBytes } from "node:crypto";
import type { ManagementApi } from "./management-api.ts";

export interface Order {
  /** Of the path; by name. Other values of the same form find nothing. */
  params?: Record<string, string>;
  query?: Record<string, string>;
  body?: unknown;
}

export type Maker = (api: ManagementApi) => Promise<Order> | Order;

export const unique = (prefix: string): string => `${prefix}-${randomBytes(6).toString("hex")}`;

/** Makes something through the API. */
export async function made(api: ManagementApi, path: string, body: unknown): Promise<Record<string, string>> {
  const answer = await api.call("POST", path, { body });
  if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
