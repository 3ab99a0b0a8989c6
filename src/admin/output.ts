/** What commands print: one JSON object for programs, words and tables for people. Decides nothing about what is shown. */

/** Columns or fields in order: title and text; what is undefined is left out. */
export type Cells = readonly (readonly [title: string, text: string | undefined])[];

/**
 * Rows under titles, columns two spaces apart. Every row has the same titles.
 * @param none what is said when there are no rows
 */
export function table(rows: readonly Cells[], none: string): string {
  const [first] = rows;
  if (first === undefined) return none;
  const lines = [first.map(([title]) => title.toUpperCase()), ...rows.map((row) => row.map(([, text]) => shown(text)))];
  const widths = first.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ""))));
  return lines
    .map((line) =>
      line
        .map((text, column) => pad(text, widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** One field a line, the texts below each other. */
export function details(fields: Cells): string {
  const present = fields.filter(([, text]) => text !== undefined && text !== "");
  const widest = Math.max(0, ...present.map(([title]) => width(title)));
  return present.map(([title, text]) => `${pad(title, widest)}  ${shown(text)}`).join("\n");
}

/** In the reader's terminal, whatever it is: UTC, to the second. */
export const time = (at: Date | undefined): string | undefined =>
  at
    ?.toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");

/** Seconds since the epoch, as in tokens and registrations. */
export const numericDate = (at: Date): number => Math.floor(at.getTime() / 1000);

export const yesNo = (value: boolean): string => (value ? "yes" : "no");

/** Strangers name applications: nothing that a terminal obeys, or that turns the direction of a line, gets through. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u200B\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF]/gu, "\u{FFFD}");
}

const shown = (text: string | undefined): string => (text === undefined || text === "" ? "-" : printable(text));

const width = (text: string): number => [...text].length;

const pad = (text: string, to: number): string => text + " ".repeat(Math.max(0, to - width(text)));
