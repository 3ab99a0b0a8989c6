/** Which version of a thing somebody has seen (RFC 9110 §8.8.3, §13.1). */
import { hash } from "node:crypto";
import { Problem } from "./problems.ts";

/** Strong: the same exactly while the representation is. What is shown once is no part of it. */
export function entityTag(representation: unknown, shownOnce: readonly string[] = []): string {
  const lasting = shownOnce.length === 0 ? representation : without(representation as object, shownOnce);
  return `"${hash("sha256", JSON.stringify(lasting, sorted), "base64url")}"`;
}

const without = (value: object, members: readonly string[]): object =>
  Object.fromEntries(Object.entries(value).filter(([name]) => !members.includes(name)));

/** Of two equal values one text, in whatever order their members were written. */
const sorted = (_key: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value;

/**
 * Strong comparison: what is weak matches nothing.
 * @returns throws 412 for a representation that is not among those of `If-Match`
 */
export function expectationOf(ifMatch: string, shownOnce?: readonly string[]): (representation: unknown) => void {
  const wanted = ifMatch.split(",").map((tag) => tag.trim());
  if (ifMatch === "*" || ifMatch === "") return () => {}; // never among tags, nor within one
  return (representation) => {
    if (!wanted.includes(entityTag(representation, shownOnce)))
      throw new Problem("precondition-failed", "It is not what If-Match says any more. Get it again, and decide again.", {
        errors: [{ field: "header/If-Match", message: "names another version than there is" }],
      });
  };
}
