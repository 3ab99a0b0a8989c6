/**
 * Whether one access token was ended before its time, for whoever looks at it: by what was written down before the ending was acknowledged, which
 * PostgreSQL holds in every arrangement of stores.
 */
import type { Database } from "../storage/database.ts";
import type { StatusPlace } from "../storage/status-bits.ts";

/** `endedAt`: undefined when it was not. */
export interface TokenStatus {
  readonly endedAt: Date | undefined;
}

/** @returns undefined when there is no such list, or no more */
export async function readTokenStatus({ prisma }: Pick<Database, "prisma">, { list, idx }: StatusPlace): Promise<TokenStatus | undefined> {
  const found = await prisma.statusList.findUnique({
    where: { id: list },
    select: { entries: { where: { idx }, select: { endedAt: true } } },
  });
  return found === null ? undefined : { endedAt: found.entries[0]?.endedAt };
}
