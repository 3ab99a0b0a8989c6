/**
 * Logos of applications. This server fetches them and hands them out itself, so that nobody who runs an application, or the place where its logo
 * lies, learns who is about to sign in; and what a browser gets is a picture and nothing else.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { ClientRecord } from "./client-record.ts";
import { pictureOf } from "./logo-image.ts";
import { STRANGER } from "./own-changes.ts";

/** Bytes. */
export const LARGEST_LOGO = 256 * 1024;
/** Bytes that one process keeps. */
const KEPT = 16 * 1024 * 1024;
/** Milliseconds: a logo that has changed at its place is seen the day after; one that could not be had is tried again sooner. */
const FOUND_TTL = 86_400_000;
const ABSENT_TTL = 600_000;
/** Fetched at the same time; whoever comes beyond goes without. */
const MOST_FETCHES = 8;

export const LOGOS_PATH = "/logos";

export interface Logo {
  readonly body: Buffer;
  readonly type: string;
  readonly hash: string;
}

export interface Logos {
  /** Undefined: it has none that may be shown, or none that can be had now. */
  of(client: ClientRecord): Promise<Logo | undefined>;
}

/** What decides whether a client's logo is shown, under the names that the engine's Client has for it. */
interface Shown {
  readonly stranger: boolean;
  readonly verified: boolean;
  readonly first_party: boolean;
}

/** A stranger can put anybody's logo beside any name: theirs is not shown, nor fetched, until an operator has looked. */
const isShown = ({ stranger, verified, first_party }: Shown): boolean => !stranger || verified || first_party;

/** Where pages find a client's logo; another address when the client names another one. Undefined: it has none that may be shown. */
export function logoPath(clientId: string, logoUri: string | undefined, shown: Shown): string | undefined {
  if (logoUri === undefined || !isShown(shown)) return undefined;
  return `${LOGOS_PATH}/${encodeURIComponent(clientId)}?v=${hashOf(logoUri)}`;
}

/** Of a client as it is stored. */
export const logoPathOf = (client: ClientRecord): string | undefined =>
  logoPath(client.clientId, client.metadata.logo_uri, shownOf(client));

const shownOf = ({ createdBy, verified, firstParty }: ClientRecord): Shown => ({
  stranger: createdBy === STRANGER,
  verified,
  first_party: firstParty,
});

/** @param guardedFetch reaches what everybody can reach, follows no redirects, and is bounded in time and by LARGEST_LOGO */
export function createLogos(guardedFetch: typeof fetch): Logos {
  const known = new LRUCache<string, { logo: Logo | undefined }>({
    maxSize: KEPT,
    sizeCalculation: ({ logo }) => (logo?.body.length ?? 0) + 500,
    ttl: FOUND_TTL,
  });
  const fetching = new Map<string, Promise<Logo | undefined>>();

  async function fetchOnce(uri: string): Promise<Logo | undefined> {
    const logo = await fetchLogo(guardedFetch, uri).catch(() => undefined);
    known.set(uri, { logo }, { ttl: logo === undefined ? ABSENT_TTL : FOUND_TTL });
    fetching.delete(uri);
    return logo;
  }

  return {
    async of(client) {
      const uri = client.metadata.logo_uri;
      if (uri === undefined || !isShown(shownOf(client))) return undefined;
      const found = known.get(uri);
      if (found !== undefined) return found.logo;
      if (!fetching.has(uri)) {
        if (fetching.size >= MOST_FETCHES) return undefined;
        fetching.set(uri, fetchOnce(uri));
      }
      return fetching.get(uri);
    },
  };
}

async function fetchLogo(guardedFetch: typeof fetch, uri: string): Promise<Logo | undefined> {
  const response = await guardedFetch(uri, { headers: { Accept: "image/webp,image/png,image/jpeg,image/gif" } });
  if (response.status !== 200) {
    await response.body?.cancel();
    return undefined;
  }
  const body = Buffer.from(await response.arrayBuffer());
  const type = pictureOf(body)?.type;
  return type && { body, type, hash: hashOf(body) };
}

const hashOf = (data: string | Buffer): string => createHash("sha256").update(data).digest("base64url").slice(0, 16);
