import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { openPlaces, type PlaceOf } from "../../src/accounts/places.ts";
import type { Language } from "../../src/i18n/languages.ts";
import { say } from "../../src/i18n/messages.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { mmdb } from "../support/mmdb.ts";
import { tempDir } from "../support/temp-dir.ts";

const directory = tempDir("places");
afterAll(() => directory.remove());

const germany = { iso_code: "DE", names: { en: "Germany", de: "Deutschland", fr: "Allemagne", es: "Alemania", ja: "ドイツ連邦共和国" } };
const NETWORKS = {
  "192.0.2.0/24": { city: { names: { en: "Munich", de: "München", ja: "ミュンヘン" } }, country: germany },
  "2001:db8::/32": { country: germany },
  "198.51.100.0/25": { city: { names: { en: "Atlantis" } } },
  "198.51.100.128/25": { continent: { names: { en: "Europe" } }, city: "no map", country: { names: { ru: "Германия" } } },
};

let files = 0;
const write = (content: Buffer | string): string => {
  const path = join(directory.path, `${++files}.mmdb`);
  writeFileSync(path, content);
  return path;
};
const lines: string[] = [];
const log = createLogger({ logLevel: "warn" }, { destination: { write: (line: string) => void lines.push(line) } });
const open = (content: Buffer | string) => openPlaces(write(content), log);
const said = (placeOf: PlaceOf, address: string, language: Language = "en") => {
  const place = placeOf(address, language);
  return place && say(language, place);
};

test("names the city and the country, in the reader's language where the file has it", async () => {
  const placeOf = await open(mmdb(NETWORKS));
  const inAll = (address: string) => (["en", "de", "fr", "es", "ja", "ar"] as const).map((language) => said(placeOf, address, language));
  expect(inAll("192.0.2.77")).toEqual([
    "Munich, Germany",
    "München, Deutschland",
    "Munich, Allemagne",
    "Munich, Alemania",
    "ドイツ連邦共和国 ミュンヘン",
    "Munich, Germany",
  ]);
  expect(inAll("2001:db8:85a3::7")).toEqual(["Germany", "Deutschland", "Allemagne", "Alemania", "ドイツ連邦共和国", "Germany"]);
  expect(said(placeOf, "198.51.100.1", "de")).toBe("Atlantis");
});

test("knows nothing of other addresses, of private ones, and of what is none", async () => {
  const placeOf = await open(mmdb(NETWORKS));
  const others = ["203.0.113.9", "192.0.3.1", "2001:db9::1", "10.0.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd00::1", "fe80::1%eth0"];
  for (const address of [...others, "", "unknown", "192.0.2", "192.0.2.77:80"]) expect(said(placeOf, address)).toBeUndefined();
  expect(said(placeOf, "198.51.100.200")).toBeUndefined(); // neither has a name that we could show
});

test("knows addresses of the kind alone that the file has", async () => {
  const placeOf = await open(mmdb({ "32.1.0.0/16": { country: germany } }, { ipVersion: 4, type: "DBIP-Country-Lite" }));
  expect(said(placeOf, "32.1.13.184")).toBe("Germany");
  expect(said(placeOf, "2001:db8::1")).toBeUndefined(); // begins with the same 32 bits
});

test("without a file no place is known", async () => {
  expect(said(await openPlaces(undefined, log), "192.0.2.77")).toBeUndefined();
});

test("a file that cannot be used is refused in words that name the setting", async () => {
  const whole = mmdb(NETWORKS);
  await expect(openPlaces(join(directory.path, "none.mmdb"), log)).rejects.toThrow(/^GEOIP_FILE: .*none\.mmdb cannot be read \(ENOENT\)$/);
  await expect(openPlaces(directory.path, log)).rejects.toThrow(/^GEOIP_FILE: .* cannot be read \(EISDIR\)$/);
  for (const broken of ["", "no database", whole.subarray(0, -40), whole.subarray(0, 100), gzipSync(whole), Buffer.alloc(5_000, 0xff)])
    await expect(open(broken)).rejects.toThrow(/^GEOIP_FILE: .* is no MaxMind DB file \(\.mmdb\), or is not all there$/);
  await expect(open(mmdb(NETWORKS, { type: "GeoLite2-ASN" }))).rejects.toThrow(
    /^GEOIP_FILE: .* is of the type GeoLite2-ASN; set one with cities or countries$/,
  );
});

test("a fault within the file costs the place, not the page", async () => {
  const whole = mmdb(NETWORKS);
  // In place of the map that begins with the city.
  whole[whole.indexOf("city") - 2] = 0xff;
  const placeOf = await open(whole);
  expect(said(placeOf, "192.0.2.77")).toBeUndefined();
  expect(said(placeOf, "2001:db8::1")).toBe("Germany");
  expect(lines.join("")).toContain("GEOIP_FILE has a fault");
  expect(lines.join("")).not.toContain("192.0.2.77");
});
