import { z } from "zod";
import { checkDetails } from "../accounts/account-store.ts";
import { checkEmail, normalizeEmail } from "../accounts/email-address.ts";
import { openTotpSecret, sealTotpSecret } from "../factors/totp.ts";
import { english } from "../i18n/messages.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Prisma } from "../storage/generated/client.ts";
import type { Sealer } from "../storage/seal.ts";
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

/** With what they sign in with, whom they gave consent, and which applications they look after. */
export function accountNoun(
  feed: Pick<ChangeFeed, "publish">,
  sealer: Sealer,
  endAccount: (id: string) => Promise<void>,
): Noun<AccountRow> {
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
    async written(rows, before) {
      for (const row of rows) {
        if (!before.has(row.id)) continue;
        await feed.publish("account", row.id);
        await endAccount(row.id); // whoever is signed in came in by what has been replaced
      }
    },
  };
}

function faults({ email, name, claims, roles, credentials }: AccountRow): string[] {
  const [password, ...others] = credentials;
  if (others.length > 0 || (password !== undefined && password.kind !== "password")) return ["credentials: may hold one password alone"];
  const [, memory, passes, lanes] = PHC.exec(password?.secret ?? "")?.map(Number) ?? [];
  const isCostly = (memory ?? 0) > MOST_MEMORY || (passes ?? 0) > MOST_PASSES || (lanes ?? 0) > MOST_LANES;
  if (password !== undefined && (memory === undefined || isCostly))
    return ["credentials: the password is no argon2id hash that may be asked for"];
  if (normalizeEmail(email) !== email) return ["email: is not in the form in which addresses are kept"];
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) return ["claims: must be an object"];
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
  before: ReadonlySet<string>,
  withSecrets: boolean,
): Promise<Readonly<Record<string, number>>> {
  const replaced = { accountId: { in: [...before] } };
  if (before.size > 0) {
    // In the order of ids, as whoever else locks several does.
    await tx.$queryRaw`SELECT id FROM account WHERE id = ANY(${[...before]}) ORDER BY id FOR UPDATE`;
    await tx.credential.deleteMany({ where: withSecrets ? replaced : { ...replaced, kind: "password" } });
    await tx.passkey.deleteMany({ where: replaced });
    await tx.recoveryCode.deleteMany({ where: replaced });
    await tx.federatedIdentity.deleteMany({ where: replaced });
    await tx.accountRole.deleteMany({ where: replaced });
    await tx.consent.deleteMany({ where: replaced });
    await tx.clientOwner.deleteMany({ where: replaced });
  }
  const fresh: Prisma.AccountCreateManyInput[] = [];
  for (const row of rows) {
    const { credentials: _c, passkeys: _p, recoveryCodes: _r, identities: _i, roles: _o, consents: _s, applications: _a, ...own } = row;
    const data = { ...own, claims: own.claims as Prisma.InputJsonObject };
    if (before.has(row.id)) await tx.account.update({ where: { id: row.id }, data });
    else fresh.push(data);
  }
  await tx.account.createMany({ data: fresh });
  const all = <Member>(members: (row: AccountRow) => readonly Member[]) =>
    rows.flatMap((row) => members(row).map((member) => ({ ...member, accountId: row.id })));
  await tx.credential.createMany({ data: all(({ credentials }) => credentials) });
  await tx.passkey.createMany({
    data: all(({ passkeys }) => passkeys as (AccountRow["passkeys"][number] & { publicKey: Uint8Array<ArrayBuffer> })[]),
  });
  await tx.recoveryCode.createMany({ data: all(({ recoveryCodes }) => recoveryCodes) });
  await tx.federatedIdentity.createMany({ data: all(({ identities }) => identities) });

  const [roles, consents, applications] = [all((row) => row.roles), all((row) => row.consents), all((row) => row.applications)];
  const names = roles.map(({ roleName }) => roleName);
  const ids = [...consents, ...applications].map(({ clientId }) => clientId);
  const knownRoles = new Set((await tx.role.findMany({ where: { name: { in: names } }, select: { name: true } })).map((each) => each.name));
  const knownClients = new Set((await tx.client.findMany({ where: { id: { in: ids } }, select: { id: true } })).map((each) => each.id));
  await tx.accountRole.createMany({ data: roles.filter(({ roleName }) => knownRoles.has(roleName)) });
  const known = ({ clientId }: { clientId: string }) => knownClients.has(clientId);
  await tx.consent.createMany({ data: consents.filter(known).map((each) => ({ ...each, scopes: each.scopes as Prisma.InputJsonObject })) });
  await tx.clientOwner.createMany({ data: applications.filter(known) });
  return {
    role: names.filter((name) => !knownRoles.has(name)).length,
    client: ids.filter((clientId) => !knownClients.has(clientId)).length,
  };
}
