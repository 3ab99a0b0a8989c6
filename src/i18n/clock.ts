/** Days and moments in words, in a language and a time zone. Of a moment the zone is always said: nobody can know which one is meant. */
import type { Language } from "./languages.ts";

export interface Clock {
  day(date: Date): string;
  /** With its zone behind it: `Nov 23, 2026, 5:30 AM UTC`. */
  moment(date: Date): string;
  /** For letters, which are read later and elsewhere: the month in full, and the zone to be put where the letter wants it. */
  inLetter(date: Date): { at: string; zone: string };
}

/** @param zone a name of the time zone database @throws {RangeError} for any other */
export function clockOf(language: Language, zone = "UTC"): Clock {
  const name = `${language} ${zone}`;
  const known = clocks.get(name);
  if (known !== undefined) return known;
  const formatOf = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language, { ...options, timeZone: zone });
  const days = formatOf({ dateStyle: "long" });
  const moments = formatOf({ dateStyle: "medium", timeStyle: "short" });
  const letters = formatOf({ dateStyle: "long", timeStyle: "short" });
  const zones = formatOf({ timeZoneName: "short" });
  const zoneAt = (date: Date) => zones.formatToParts(date).find(({ type }) => type === "timeZoneName")?.value ?? zone;
  const made: Clock = {
    day: (date) => days.format(date),
    moment: (date) => `${moments.format(date)} ${zoneAt(date)}`,
    inLetter: (date) => ({ at: letters.format(date), zone: zoneAt(date) }),
  };
  clocks.set(name, made);
  return made;
}

/** As many as there are languages and zones at most. */
const clocks = new Map<string, Clock>();
