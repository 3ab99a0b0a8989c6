import { z } from "zod";
import type { PrismaClient } from "../storage/generated/client.ts";
import { type Counts, contextOf, type Header, passphraseSealer } from "./file-format.ts";
import { type AnyNoun, NOUNS, type NounName } from "./noun.ts";

/** Rows that are in memory at a time. */
const PAGE = 500;

export interface ExportOptions {
  prisma: PrismaClient;
  nouns: Readonly<Record<NounName, AnyNoun>>;
  version: string;
  issuer: string;
}

export interface ExportOrder {
  readonly only?: readonly NounName[];
  /** Secrets go along, sealed under it. */
  readonly passphrase?: string;
}

export interface Exported {
  readonly counts: Counts;
  /** Things whose secrets stay here, by noun. */
  readonly withoutSecrets: Counts;
}

/**
 * Writes a file of what there is, page by page. It is of one moment only as far as nobody changes anything meanwhile: what is made behind the place
 * where it reads is missed, and of what is changed while it is read, what belongs to it may be of before or behind the change.
 * @param write hears of lines, in order, and is waited for
 */
export async function exportData(
  { prisma, nouns, version, issuer }: ExportOptions,
  { only = NOUNS, passphrase }: ExportOrder,
  write: (lines: string) => Promise<void>,
): Promise<Exported> {
  const sealing = passphrase === undefined ? undefined : await passphraseSealer(passphrase);
  const chosen = NOUNS.filter((name) => only.includes(name));
  const head: Header = {
    grantor: "export",
    format: 1,
    version,
    issuer,
    at: new Date().toISOString(),
    nouns: chosen,
    ...(sealing !== undefined && { secrets: sealing.secrets }),
  };
  await write(`${JSON.stringify(head)}\n`);
  const counts: Partial<Record<NounName, number>> = {};
  const withoutSecrets: Partial<Record<NounName, number>> = {};
  for (const name of chosen) {
    const noun = nouns[name];
    let after: string | undefined;
    let page: unknown[];
    counts[name] = 0;
    do {
      page = await noun.read(prisma, { after, limit: PAGE });
      let lines = "";
      for (const full of page) {
        const { row, secrets } = noun.takeSecrets(full);
        const id = noun.idOf(row);
        const hasSecrets = Object.keys(secrets).length > 0;
        if (hasSecrets && sealing === undefined) withoutSecrets[name] = (withoutSecrets[name] ?? 0) + 1;
        const sealed = hasSecrets ? sealing?.sealer.seal(JSON.stringify(secrets), contextOf(name, id)) : undefined;
        lines += `${JSON.stringify({ noun: name, id, entry: z.encode(noun.schema, row), sealed })}\n`;
        after = id;
      }
      counts[name] += page.length;
      if (lines !== "") await write(lines);
    } while (page.length === PAGE);
  }
  await write(`${JSON.stringify({ end: counts })}\n`);
  return { counts, withoutSecrets };
}
