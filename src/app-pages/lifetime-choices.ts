/** How long an owner may let tokens live: as long as the server does, or less. */
import type { ClientRecord } from "../clients/client-record.ts";
import type { Choice } from "../http/app-page-models.ts";
import { type Text, text } from "../i18n/messages.ts";

/** Seconds. */
export interface ServerLifetimes {
  readonly accessTokenTtl: number;
  readonly refreshTokenTtl: number;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ACCESS = [MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR];
const REFRESH = [HOUR, 8 * HOUR, DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY];

export function lifetimeChoices(
  server: ServerLifetimes,
  { accessTokenTtl, refreshTokenTtl, metadata }: ClientRecord,
): {
  access: Choice[];
  refresh?: Choice[];
} {
  const { access_token_max_ttl: access, refresh_token_max_ttl: refresh } = metadata;
  return {
    access: choices(accessTokenTtl ?? server.accessTokenTtl, ACCESS, access),
    ...(metadata.grant_types.includes("refresh_token") && {
      refresh: choices(refreshTokenTtl ?? server.refreshTokenTtl, REFRESH, refresh),
    }),
  };
}

/** @param current which may be one that this page does not offer: the command line and registration take any */
function choices(longest: number, offered: readonly number[], current: number | undefined): Choice[] {
  const shorter = new Set(offered.filter((seconds) => seconds < longest));
  if (current !== undefined) shorter.add(current);
  return [
    { value: "", label: text("apps:lifetimes.longest", { duration: durationWords(longest) }) },
    ...[...shorter].sort((a, b) => a - b).map((seconds) => ({ value: String(seconds), label: durationWords(seconds) })),
  ];
}

function durationWords(seconds: number): Text {
  if (seconds % DAY === 0) return text("apps:duration.days", { count: seconds / DAY });
  if (seconds % HOUR === 0) return text("apps:duration.hours", { count: seconds / HOUR });
  if (seconds % MINUTE === 0) return text("apps:duration.minutes", { count: seconds / MINUTE });
  return text("apps:duration.seconds", { count: seconds });
}
