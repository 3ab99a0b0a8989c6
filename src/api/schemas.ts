/** Schemas that several nouns share. */
import { z } from "zod";

export const timeSchema = z.iso.datetime().meta({ description: "ISO 8601, in UTC.", example: "2026-01-31T09:30:00.000Z" });

/** In a query: `true` or `false`. */
export const flagSchema = z.enum(["true", "false"]).transform((value) => value === "true");

/** Of what the server names: never an address, a URL or another name by which it might be known too. */
export const idSchema = z.string().regex(/^[\w-]{1,100}$/, "must be an id");
