/** The management API: its endpoints, joined. How one is added stands in endpoint.ts. */
import type { KeyOperations } from "../operations/key-operations.ts";
import type { Endpoint } from "./endpoint.ts";
import { keyEndpoints } from "./key-endpoints.ts";

/** What the endpoints ask: operations, one for each noun. */
export interface ManagementOperations {
  readonly keys: KeyOperations;
}

export function managementEndpoints(operations: ManagementOperations): readonly Endpoint[] {
  return [...keyEndpoints(operations.keys)];
}
