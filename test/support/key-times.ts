/** Lets time pass for signing keys: their dates go back, as if all that happened to them had happened earlier. The database's clock stays. */
import type { Database } from "../../src/storage/database.ts";

export async function passKeyTime({ prisma }: Pick<Database, "prisma">, seconds: number): Promise<void> {
  await prisma.$executeRaw`
    UPDATE signing_key SET
      created_at = created_at - make_interval(secs => ${seconds}),
      activated_at = activated_at - make_interval(secs => ${seconds}),
      replace_at = replace_at - make_interval(secs => ${seconds}),
      retired_at = retired_at - make_interval(secs => ${seconds}),
      published_until = published_until - make_interval(secs => ${seconds}),
      revoked_at = revoked_at - make_interval(secs => ${seconds})`;
}
