import type { Config } from "../config.ts";
import type { Prisma } from "../storage/generated/client.ts";

/** Seconds. */
export const ID_TOKEN_TTL = 3_600;

/**
 * Seconds that the longest-lived of the tokens lives that may have been signed until now. What was in force before counts too, as long as a
 * token may be left of it: its status list is there until then.
 */
export async function longestTokenLife(
  tx: Pick<Prisma.TransactionClient, "$queryRaw">,
  config: Pick<Config, "accessTokenTtl" | "statusListTtl" | "statusListOutage">,
): Promise<number> {
  const [row] = await tx.$queryRaw<[{ longest: number | null }]>`
    SELECT greatest(
      (SELECT max(access_token_ttl) FROM resource),
      (SELECT max(access_token_ttl) FROM client),
      (SELECT max(longest_life) FROM status_list)
    )::int AS longest`;
  return Math.max(row.longest ?? 0, config.accessTokenTtl, ID_TOKEN_TTL, config.statusListTtl + config.statusListOutage);
}
