/**
 * For every operation of the management API, what a valid call of it is about and says: the objects are made on the spot, so that each call is free to
 * change or delete them. An operation that is not here fails test/flows/management-api.test.ts.
 */
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

const keyId = async (api: ManagementApi): Promise<string> => (await api.call("GET", "/keys")).body.items[0].kid;

const keys: Record<string, Maker> = {
  listKeys: () => ({}),
  getKey: async (api) => ({ params: { kid: await keyId(api) } }),
  rotateKeys: () => ({ body: { alg: "ES256" } }),
};

export const makers: Readonly<Record<string, Maker>> = { ...keys };
