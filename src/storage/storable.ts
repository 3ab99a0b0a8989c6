/** What PostgreSQL takes as text, JSON and times. */

/** Far deeper than anything of ours has to be, and than whatever walks through it can go. */
const DEEPEST = 32;

/** Text without NUL and halves of surrogate pairs, or JSON that holds none, in values and names, and is not nested too deeply. */
export function isStorable(value: unknown, depth = 0): boolean {
  if (typeof value === "string") return !value.includes("\0") && value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  return depth < DEEPEST && Object.entries(value).every(([name, member]) => isStorable(name) && isStorable(member, depth + 1));
}

/** PostgreSQL knows no year 0. */
const YEAR_1 = Date.parse("0001-01-01T00:00:00Z");

/** Milliseconds since the epoch, from the year 1 on. */
export const isStorableTime = (value: unknown): value is number =>
  typeof value === "number" && value >= YEAR_1 && !Number.isNaN(new Date(value).getTime());
