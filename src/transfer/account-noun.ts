import { randomUUID } from "node:crypto";
import { z } from "zod";
import { checkDetails } from "../accounts/account-store.ts";
import { checkEmail, normalizeEmail } from "../accounts/email-address.ts";
import { voidMailedLinks } from "../accounts/one-time-tokens.ts";
import { ADMIN_ROLE, administrators, keepSomeAdministrator } from "../accounts/roles.ts";
import { openTotpSecret, sealTotpSecret } from "../factors/totp.ts";
import { english } from "../i18n/messages.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Prisma } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
import { insertRows, updateRows } from "./many-rows.ts";
import { bigNumber, bytes, id, json, moment, type Noun, query, selectOf, words } from "./noun.ts";

const MOST = 1_000;
const many = <Shape extends z.ZodRawShape>(shape: Shape) => z.array(z.strictObject(shape)).max(MOST);

const shape = {
  id: id(),
  email: words(254),
  emailVerified: z.boolean(),
  name: words(500).nullable(),
  claims: json(),
  disabledAt: moment().nullable(),
  deleteAt: moment().nullable(),
  createdAt: moment(),
  updatedAt: moment(),
  credentials: many({
    kind: words(20),
    secret: words(1_000),
    standsAlone: z.boolean(),
    usedStep: bigNumber().nullable(),
    lastUsedAt: moment().nullable(),
    createdAt: moment(),
    updatedAt: moment(),
  }),
  passkeys: many({
    id: words(1_400),
    publicKey: bytes(4_096),
    counter: bigNumber(),
    rpId: words(255),
    transports: z.array(words(40)).max(20),
    backedUp: z.boolean(),
    aaguid: words(40).nullable(),
    name: words(500),
    createdAt: moment(),
    lastUsedAt: moment().nullable(),
  }),
  recoveryCodes: many({ hash: words(100), usedAt: moment().nullable(), createdAt: moment() }),
  identities: many({ issuer: words(500), subject: words(500), label: words(500), createdAt: moment(), lastUsedAt: moment().nullable() }),
  roles: many({ roleName: words(64), grantedAt: moment() }),
  consents: many({ clientId: id(), scopes: json(), lastUsedAt: moment().nullable(), createdAt: moment(), updatedAt: moment() }),
  applications: many({ clientId: id(), createdAt: moment() }),
};
const schema = z.strictObject(shape);
export type AccountRow = z.infer<typeof schema>;

/** An argon2id PHC string whose verification costs no more than the settings allow to ask for. */
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{22,256}$/;
const MOST_MEMORY = 1_048_576; // KiB
const MOST_PASSES = 20;
const MOST_LANES = 16;

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
    schema,
    idOf: (row) => row.id,
    read: (db, which) => db.account.findMany({ ...query("id", which), select: selectOf(shape) }) as unknown as Promise<AccountRow[]>,
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
    faults,
    claims: ({ email, passkeys, identities }) => [
      `the address ${email}`,
      ...passkeys.map((passkey) => `the passkey ${passkey.id}`),
      ...identities.map(({ issuer, subject }) => `the identity ${JSON.stringify([issuer, subject])}`),
    ],
    holders,
    write,
    async guard(db) {
      const left = new Set(await administrators(db));
      return ({ id: own, email, roles, disabledAt, deleteAt }) => {
        if (disabledAt === null && deleteAt === null && roles.some(({ roleName }) => roleName === ADMIN_ROLE)) left.add(own);
        else if (left.delete(own) && left.size === 0)
          return `${email} is the last administrator who can sign in, and would not be any more: give the role to somebody else first`;
        return undefined;
      };
    },
    async written(rows, before, withSecrets) {
      const replaced = rows.flatMap((row) => {
        const there = before.get(row.id);
        return there === undefined ? [] : [{ row, there }];
      });
      for (let at = 0; at < replaced.length; at += AT_ONCE)
        await Promise.all(
          replaced.slice(at, at + AT_ONCE).map(async ({ row, there }) => {
            await feed.publish("account", row.id);
            await endAccount(row.id); // whoever is signed in came in by what has been replaced
            if (losesSecondFactor(row, there, withSecrets)) await tellOwner(row.id, "second_factor_removed");
            if (there.emailVerified && !row.emailVerified) await tellOwner(row.id, "address_unverified");
          }),
        );
    },
  };
}

function faults({ email, name, claims, roles, credentials, recoveryCodes, consents, applications }: AccountRow): string[] {
  const [password, ...others] = credentials;
  if (others.length > 0 || (password !== undefined && password.kind !== "password")) return ["credentials: may hold one password alone"];
  const [, memory, passes, lanes] = PHC.exec(password?.secret ?? "")?.map(Number) ?? [];
  const isCostly = (memory ?? 0) > MOST_MEMORY || (passes ?? 0) > MOST_PASSES || (lanes ?? 0) > MOST_LANES;
  if (password !== undefined && (memory === undefined || isCostly))
    return ["credentials: the password is no argon2id hash that may be asked for"];
  if (normalizeEmail(email) !== email) return ["email: is not in the form in which addresses are kept"];
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) return ["claims: must be an object"];
  const twice = Object.entries({
    roles: roles.map(({ roleName }) => roleName),
    recoveryCodes: recoveryCodes.map(({ hash }) => hash),
    consents: consents.map(({ clientId }) => clientId),
    applications: applications.map(({ clientId }) => clientId),
  }).find(([, keys]) => new Set(keys).size < keys.length);
  if (twice !== undefined) return [`${twice[0]}: hold something twice`];
  const details = checkDetails({ name, claims: claims as Record<string, unknown>, roles: roles.map(({ roleName }) => roleName) });
  return [...checkEmail(email), ...details].map(({ field, message }) => `${field}: ${english(message)}`);
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

async function write(
  tx: Prisma.TransactionClient,
  rows: readonly AccountRow[],
  before: ReadonlyMap<string, AccountRow>,
  withSecrets: boolean,
): Promise<Readonly<Record<string, number>>> {
  const keep = before.size === 0 ? undefined : await keepSomeAdministrator(tx);
  const replaced = { accountId: { in: [...before.keys()] } };
  if (before.size > 0) {
    // In the order of ids, as whoever else locks several does.
    await tx.$queryRaw`SELECT id FROM account WHERE id = ANY(${[...before.keys()]}) ORDER BY id FOR UPDATE`;
    const outdated = rows.filter((row) => outdatesLinks(row, before.get(row.id)));
    await voidMailedLinks(
      tx,
      outdated.map((row) => row.id),
      new Date(),
    );
    await tx.credential.deleteMany({ where: withSecrets ? replaced : { ...replaced, kind: "password" } });
    await tx.passkey.deleteMany({ where: replaced });
    await tx.recoveryCode.deleteMany({ where: replaced });
    await tx.federatedIdentity.deleteMany({ where: replaced });
    await tx.accountRole.deleteMany({ where: replaced });
    await tx.consent.deleteMany({ where: replaced });
    await tx.clientOwner.deleteMany({ where: replaced });
  }
  const [there, fresh]: [object[], object[]] = [[], []];
  for (const row of rows) {
    const { credentials: _c, passkeys: _p, recoveryCodes: _r, identities: _i, roles: _o, consents: _s, applications: _a, ...own } = row;
    (before.has(row.id) ? there : fresh).push(own);
  }
  await updateRows(tx, "account", there);
  await insertRows(tx, "account", fresh);
  const all = <Member>(members: (row: AccountRow) => readonly Member[]) =>
    rows.flatMap((row) => members(row).map((member) => ({ ...member, accountId: row.id })));
  await insertRows(
    tx,
    "credential",
    all(({ credentials }) => credentials.map((each) => ({ ...each, id: randomUUID() }))),
  );
  await insertRows(
    tx,
    "passkey",
    all(({ passkeys }) => passkeys),
  );
  await insertRows(
    tx,
    "recovery_code",
    all(({ recoveryCodes }) => recoveryCodes),
  );
  await insertRows(
    tx,
    "federated_identity",
    all(({ identities }) => identities),
  );

  const [roles, consents, applications] = [all((row) => row.roles), all((row) => row.consents), all((row) => row.applications)];
  const names = roles.map(({ roleName }) => roleName);
  const ids = [...consents, ...applications].map(({ clientId }) => clientId);
  const knownRoles = new Set((await tx.role.findMany({ where: { name: { in: names } }, select: { name: true } })).map((each) => each.name));
  const knownClients = new Set((await tx.client.findMany({ where: { id: { in: ids } }, select: { id: true } })).map((each) => each.id));
  const known = ({ clientId }: { clientId: string }) => knownClients.has(clientId);
  await insertRows(
    tx,
    "account_role",
    roles.filter(({ roleName }) => knownRoles.has(roleName)),
  );
  await insertRows(tx, "consent", consents.filter(known));
  await insertRows(tx, "client_owner", applications.filter(known));
  await keep?.();
  return {
    role: names.filter((name) => !knownRoles.has(name)).length,
    client: ids.filter((clientId) => !knownClients.has(clientId)).length,
  };
}

const passwordOf = ({ credentials }: AccountRow): string | undefined => credentials.find(({ kind }) => kind === "password")?.secret;

/** As when an operator changes the address, the password or what counts as verified. */
const outdatesLinks = (row: AccountRow, before: AccountRow | undefined): boolean =>
  before !== undefined &&
  (row.email !== before.email || row.emailVerified !== before.emailVerified || passwordOf(row) !== passwordOf(before));

const hasApp = ({ credentials }: AccountRow): boolean => credentials.some(({ kind }) => kind === "totp");

/** @param withSecrets the row says whether there is an authenticator app; else the one that was there stays */
function losesSecondFactor(row: AccountRow, before: AccountRow, withSecrets: boolean): boolean {
  const had = hasApp(before) || before.passkeys.length > 0;
  return had && row.passkeys.length === 0 && !hasApp(withSecrets ? row : before);
}
