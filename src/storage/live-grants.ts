/**
 * What applications hold of somebody: a grant for each sign-in at one of them and each device, whether the person was asked or not. Asked by account
 * alone, whose grants are few; an application may have millions, in no order in which a list could go on.
 */
import { decodeBody } from "./record-body.ts";
import type { RecordKey, RecordStore } from "./record-store.ts";
import type { Sealer } from "./seal.ts";

export interface LiveGrant {
  /** SHA-256 of the grant's id, base64url: names it, and opens nothing. */
  readonly id: string;
  readonly accountId: string;
  readonly clientId: string;
  /** Of OpenID Connect, space-separated. */
  readonly openid: string;
  /** By audience: space-separated scopes. */
  readonly resources: Readonly<Record<string, string>>;
  /** Seconds since the epoch. */
  readonly grantedAt: number;
}

export interface LiveGrants {
  /** In the order of ids, from the one after `after`. A page may be short where one has ended meanwhile. `next`: the last id that was looked at, when others follow. */
  page(accountId: string, page: { after?: string | undefined; limit: number }): Promise<{ grants: LiveGrant[]; next: string | undefined }>;
  /** @param id anything @returns undefined when there is none, or it is another account's */
  find(accountId: string, id: string): Promise<LiveGrant | undefined>;
}

/** As the engine keeps it. */
interface EngineGrant extends Pick<LiveGrant, "accountId" | "clientId"> {
  readonly openid?: { readonly scope?: string };
  readonly resources?: Record<string, string>;
  readonly iat: number;
}

const PREFIX = "grant:";
const ID = /^[\w-]{43}$/;

export const isGrantKey = (key: RecordKey): boolean => key.startsWith(PREFIX);
export const grantKeyOf = (id: string): RecordKey => `${PREFIX}${id}`;

export function liveGrants(store: Pick<RecordStore, "read" | "tiedTo">, sealer: Sealer): LiveGrants {
  async function find(accountId: string, id: string): Promise<LiveGrant | undefined> {
    if (!ID.test(id)) return undefined;
    const grant = await readGrant(store, sealer, grantKeyOf(id));
    return grant?.accountId === accountId ? grant : undefined;
  }

  return {
    find,
    async page(accountId, { after = "", limit }) {
      const ids = (await store.tiedTo({ accountId })).flatMap(({ key }) => (isGrantKey(key) ? [key.slice(PREFIX.length)] : []));
      const rest = [...new Set(ids)].sort().filter((id) => id > after);
      const page = rest.slice(0, limit);
      const grants = (await Promise.all(page.map((id) => find(accountId, id)))).filter((grant) => grant !== undefined);
      return { grants, next: rest.length > page.length ? page.at(-1) : undefined };
    },
  };
}

/** @returns undefined: it has ended */
export async function readGrant(store: Pick<RecordStore, "read">, sealer: Sealer, key: RecordKey): Promise<LiveGrant | undefined> {
  const record = await store.read(key);
  if (record === undefined) return undefined;
  const { payload } = decodeBody("grant", key, record.body, undefined, sealer);
  const { accountId, clientId, openid, resources = {}, iat } = payload as unknown as EngineGrant;
  return { id: key.slice(PREFIX.length), accountId, clientId, openid: openid?.scope ?? "", resources, grantedAt: iat };
}
