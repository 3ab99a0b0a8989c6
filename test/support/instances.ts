/** Several servers of one issuer on the same stores, as behind a load balancer. */
import { type Grantor, startGrantor } from "./grantor.ts";
import { startServer, type TestServer } from "./server.ts";
import type { Stores } from "./stores.ts";

export interface Instances {
  /** The first one, whose address is the issuer. */
  readonly grantor: Grantor;
  readonly others: readonly TestServer[];
  /** Where each answers. */
  readonly urls: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startInstances(stores: Stores, count: number, env: Record<string, string> = {}): Promise<Instances> {
  const grantor = await startGrantor(stores, env);
  const others: TestServer[] = [];
  for (let i = 1; i < count; i++) others.push(await startServer({ env: { ...stores.env, ...env, ISSUER: grantor.url } }));
  return {
    grantor,
    others,
    urls: [grantor.url, ...others.map(({ url }) => url)],
    async [Symbol.asyncDispose]() {
      for (const server of others) await server[Symbol.asyncDispose]();
      await grantor[Symbol.asyncDispose]();
    },
  };
}
