/** The languages that pages and mails are written in. The first is spoken to whoever asks for none of them. */
export const LANGUAGES = ["en", "de", "fr", "es", "ja", "ar"] as const;
export type Language = (typeof LANGUAGES)[number];

const RIGHT_TO_LEFT: ReadonlySet<Language> = new Set(["ar"]);

export const directionOf = (language: Language): "ltr" | "rtl" => (RIGHT_TO_LEFT.has(language) ? "rtl" : "ltr");

export const isLanguage = (tag: string): tag is Language => (LANGUAGES as readonly string[]).includes(tag);

/** The first of a list of BCP 47 tags that we speak, by its primary subtag: `de-AT` is `de`. */
export function firstSpoken(tags: readonly string[]): Language | undefined {
  for (const tag of tags) {
    const primary = tag.split("-", 1)[0]?.toLowerCase() ?? "";
    if (isLanguage(primary)) return primary;
  }
  return undefined;
}
