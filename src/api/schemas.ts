/** Schemas that several nouns share. */
import { z } from "zod";

/** PostgreSQL knows no year 0. */
export const timeSchema = z.iso
  .datetime()
  .refine((time) => !time.startsWith("0000"), "must be of the year 1 or later")
  .meta({ description: "ISO 8601, in UTC.", example: "2026-01-31T09:30:00.000Z" });

/** In a query: `true` or `false`. */
export const flagSchema = z.enum(["true", "false"]).transform((value) => value === "true");

/** Of what the server names: never an address, a URL or another name by which it might be known too. */
export const idSchema = z.string().regex(/^[\w-]{1,100}$/, "must be an id");
