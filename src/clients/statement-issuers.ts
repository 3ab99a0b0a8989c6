/** Who may vouch for applications that register themselves: one JSON file, read at start. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { ConfigError } from "../config.ts";
import { jwksFault } from "./client-jwks.ts";
import { webUriFault } from "./client-uris.ts";

const VARIABLE = "SOFTWARE_STATEMENT_ISSUERS_FILE";

/** Who signs software statements, and with which keys: `jwks` or `jwksUri`. */
export interface StatementIssuer {
  /** The statement's `iss`. */
  readonly issuer: string;
  readonly jwks?: Readonly<Record<string, unknown>>;
  readonly jwksUri?: string;
}

export interface StatementPolicy {
  readonly issuers: readonly StatementIssuer[];
  /** Nobody registers without a software statement. */
  readonly required: boolean;
}

const faulty = (fault: (value: unknown) => string | undefined) => (value: unknown, ctx: z.RefinementCtx<unknown>) => {
  const message = fault(value);
  if (message !== undefined) ctx.addIssue({ code: "custom", message });
};

const issuerInput = z
  .strictObject({
    issuer: z.string("must be text").min(1, "must not be empty"),
    jwks: z.record(z.string(), z.unknown(), "must be a JSON Web Key Set").superRefine(faulty(jwksFault)).optional(),
    jwks_uri: z
      .string("must be text")
      .superRefine(faulty((value) => webUriFault(value as string)))
      .optional(),
  })
  .refine(({ jwks, jwks_uri }) => (jwks === undefined) !== (jwks_uri === undefined), "must have either jwks or jwks_uri");

const fileInput = z
  .strictObject({
    issuers: z.array(issuerInput, "must be a list").min(1, "must hold at least one issuer"),
    required: z.boolean("must be true or false").default(false),
  })
  .superRefine(({ issuers }, ctx) => {
    for (const [index, { issuer }] of issuers.entries()) {
      if (issuers.findIndex((other) => other.issuer === issuer) < index)
        ctx.addIssue({ code: "custom", path: ["issuers", index, "issuer"], message: "is there already" });
    }
  });

/**
 * @param path absolute; undefined: nobody vouches for anybody
 * @throws {ConfigError} naming every fault at once
 */
export function readStatementIssuers(path: string | undefined): StatementPolicy {
  if (path === undefined) return { issuers: [], required: false };
  const { success, data, error } = fileInput.safeParse(parse(path));
  if (!success) {
    throw problems(error.issues.map(({ path: at, message }) => (at.length === 0 ? message : `${at.map(String).join(".")} ${message}`)));
  }
  return Object.freeze({
    required: data.required,
    issuers: data.issuers.map(({ issuer, jwks, jwks_uri }) => ({
      issuer,
      ...(jwks !== undefined && { jwks }),
      ...(jwks_uri !== undefined && { jwksUri: jwks_uri }),
    })),
  });
}

function parse(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw problems([code === undefined ? "the file is no JSON" : `set the path of a file that this user may read (${code})`]);
  }
}

const problems = (faults: readonly string[]): ConfigError => new ConfigError(faults.map((fault) => `${VARIABLE}: ${fault}`));
