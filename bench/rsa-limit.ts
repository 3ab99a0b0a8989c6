import { generateKeyPairSync, sign } from "node:crypto";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";

/** How many RS256 signatures this machine makes, on libuv's threads as the engine makes them, and what each costs. */
export async function measureRsaLimit(signatures = 4_000): Promise<{ perSecond: number; cpu: number }> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const signOne = promisify(sign) as (alg: string, data: Buffer, key: typeof privateKey) => Promise<Buffer>;
  const data = Buffer.alloc(600, "a");
  let left = signatures;
  const began = performance.now();
  const usage = process.cpuUsage();
  await Promise.all(
    Array.from({ length: availableParallelism() * 2 }, async () => {
      while (left-- > 0) await signOne("sha256", data, privateKey);
    }),
  );
  const { user, system } = process.cpuUsage(usage);
  return { perSecond: (signatures / (performance.now() - began)) * 1000, cpu: (user + system) / 1000 / signatures };
}
