/**
 * Where in the world a network address is, about: what a MaxMind DB file of the operator's says. Nobody is asked over the network, and no place
 * is kept: it is looked up when it is shown.
 */
import { isIP } from "node:net";
import { type CityResponse, open, type Reader } from "maxmind";
import type { Language } from "../i18n/languages.ts";
import { text, type Words } from "../i18n/messages.ts";
import type { Logger } from "../observability/logger.ts";

/** Places that stay decoded. */
const REMEMBERED = 1_000;
/** How the types of files call what we read: `GeoLite2-City`, `GeoIP2-Country`, `DBIP-Location (compat=Enterprise)`, … */
const FITS = /city|country|enterprise/i;

/** @returns "Berlin, Germany", by the names that the file has in that language, else by the English ones; undefined: not known */
export type PlaceOf = (address: string, language: Language) => Words | undefined;

/**
 * @param path absolute; undefined: no place is known
 * @throws {Error} naming the setting, when the file cannot be used
 */
export async function openPlaces(path: string | undefined, log: Logger): Promise<PlaceOf> {
  if (path === undefined) return () => undefined;
  const reader = await read(path);
  return (address, language) => {
    const version = isIP(address);
    // In a tree of IPv4 alone the reader would take the first 32 bits of a longer address for one.
    if (version === 0 || version > reader.metadata.ipVersion) return undefined;
    try {
      const found = reader.get(address);
      const [city, country] = [nameOf(found?.city, language), nameOf(found?.country, language)];
      return city && country ? text("sessions:place", { city, country }) : city || country;
    } catch (err) {
      log.warn({ err }, "GEOIP_FILE has a fault: the place of an address is not shown");
      return undefined;
    }
  };
}

async function read(path: string): Promise<Reader<CityResponse>> {
  const refusal = (why: string, cause?: unknown) => new Error(`GEOIP_FILE: ${path} ${why}`, { cause });
  let reader: Reader<CityResponse>;
  try {
    reader = await open<CityResponse>(path, { cache: { max: REMEMBERED } });
  } catch (cause) {
    const { syscall, code } = cause as NodeJS.ErrnoException;
    throw refusal(syscall === undefined ? "is no MaxMind DB file (.mmdb), or is not all there" : `cannot be read (${code})`, cause);
  }
  const { binaryFormatMajorVersion, databaseType } = reader.metadata;
  if (binaryFormatMajorVersion !== 2) throw refusal(`has version ${binaryFormatMajorVersion} of the MaxMind DB format; only 2 is known`);
  if (!FITS.test(databaseType)) throw refusal(`is of the type ${databaseType}; set one with cities or countries`);
  return reader;
}

/** Files have other languages than we do, and not each name in each of them. */
function nameOf(of: { names?: object } | undefined, language: Language): string | undefined {
  const names = (of?.names ?? {}) as Partial<Record<Language, string>>;
  return names[language] ?? names.en;
}
