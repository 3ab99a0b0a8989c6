import { ADMIN_ROLE, administrators } from "../accounts/roles.ts";
import { openTotpSecret, sealTotpSecret } from "../factors/totp.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Sealer } from "../storage/seal.ts";
import { type AccountRow, accountFaults, accountSchema, accountShape } from "./account-row.ts";
import { type Noun, query, selectOf } from "./noun.ts";
import { writeAccounts } from "./write-accounts.ts";

/** Accounts that are told of and ended at a time. */
const AT_ONCE = 20;

export interface AccountNounOptions {
  feed: Pick<ChangeFeed, "publish">;
  sealer: Sealer;
  /** Ends every session, grant and token of an account. */
  endAccount(id: string): Promise<void>;
  /** By mail, what the same change by the command line mails. */
  tellOwner(id: string, change: "second_factor_removed" | "address_unverified"): Promise<void>;
}

/** With what they sign in with, whom they gave consent, and which applications they look after. */
export function accountNoun({ feed, sealer, endAccount, tellOwner }: AccountNounOptions): Noun<AccountRow> {
  return {
    name: "account",
    schema: accountSchema,
    idOf: (row) => row.id,
    read: (db, which) => db.account.findMany({ ...query("id", which), select: selectOf(accountShape) }) as unknown as Promise<AccountRow[]>,
    takeSecrets(row) {
      const totp = row.credentials.find(({ kind }) => kind === "totp");
      const secret = totp && openTotpSecret(sealer, row.id, totp.secret);
      const bare = { ...row, credentials: row.credentials.filter(({ kind }) => kind !== "totp") };
      return { row: bare, secrets: secret === undefined ? {} : { totp: secret } };
    },
    putSecrets(row, { totp }) {
      if (totp === undefined) return row;
      const at = row.createdAt;
      const sealed = { kind: "totp", secret: sealTotpSecret(sealer, row.id, totp), standsAlone: true, usedStep: null, lastUsedAt: null };
      return { ...row, credentials: [...row.credentials, { ...sealed, createdAt: at, updatedAt: at }] };
    },
    faults: accountFaults,
    claims: ({ email, passkeys, identities }) => [
      `the address ${email}`,
      ...passkeys.map((passkey) => `the passkey ${passkey.id}`),
      ...identities.map(({ issuer, subject }) => `the identity ${JSON.stringify([issuer, subject])}`),
    ],
    holders,
    write: writeAccounts,
    async guard(db) {
      const left = new Set(await administrators(db));
      return ({ id: own, email, roles, disabledAt, deleteAt }) => {
        if (disabledAt === null && deleteAt === null && roles.some(({ roleName }) => roleName === ADMIN_ROLE)) left.add(own);
        else if (left.delete(own) && left.size === 0)
          return `${email} is the last administrator who can sign in, and would not be any more: give the role to somebody else first`;
        return undefined;
      };
    },
    // Whoever is signed in came in by what is replaced.
    replacing: (_, before) => inSteps([...before.keys()], endAccount),
    async written(rows, before, withSecrets) {
      const replaced = rows.flatMap((row) => {
        const there = before.get(row.id);
        return there === undefined ? [] : [{ row, there }];
      });
      await inSteps(replaced, async ({ row, there }) => {
        await feed.publish("account", row.id);
        await endAccount(row.id);
        if (losesSecondFactor(row, there, withSecrets)) await tellOwner(row.id, "second_factor_removed");
        if (there.emailVerified && !row.emailVerified) await tellOwner(row.id, "address_unverified");
      });
    },
  };
}

async function inSteps<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < all.length; at += AT_ONCE) await Promise.all(all.slice(at, at + AT_ONCE).map(work));
}

async function holders(db: Parameters<Noun<AccountRow>["holders"]>[0], claims: readonly string[]): Promise<Map<string, string>> {
  const of = (what: string) => claims.filter((claim) => claim.startsWith(what)).map((claim) => claim.slice(what.length));
  const [emails, passkeys, pairs] = [of("the address "), of("the passkey "), of("the identity ")];
  const subjects = pairs.map((pair) => (JSON.parse(pair) as [string, string])[1]);
  const [accounts, credentials, identities] = await Promise.all([
    db.account.findMany({ where: { email: { in: emails } }, select: { id: true, email: true } }),
    passkeys.length === 0 ? [] : db.passkey.findMany({ where: { id: { in: passkeys } }, select: { id: true, accountId: true } }),
    pairs.length === 0
      ? []
      : db.federatedIdentity.findMany({
          where: { subject: { in: subjects }, issuer: { in: pairs.map((pair) => (JSON.parse(pair) as [string, string])[0]) } },
          select: { issuer: true, subject: true, accountId: true },
        }),
  ]);
  return new Map([
    ...accounts.map((each) => [`the address ${each.email}`, each.id] as const),
    ...credentials.map((each) => [`the passkey ${each.id}`, each.accountId] as const),
    ...identities.map(({ issuer, subject, accountId }) => [`the identity ${JSON.stringify([issuer, subject])}`, accountId] as const),
  ]);
}

const hasApp = ({ credentials }: AccountRow): boolean => credentials.some(({ kind }) => kind === "totp");

/** @param withSecrets the row says whether there is an authenticator app; else the one that was there stays */
function losesSecondFactor(row: AccountRow, before: AccountRow, withSecrets: boolean): boolean {
  const had = hasApp(before) || before.passkeys.length > 0;
  return had && row.passkeys.length === 0 && !hasApp(withSecrets ? row : before);
}
