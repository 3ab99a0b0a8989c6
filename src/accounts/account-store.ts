import { randomBytes } from "node:crypto";
import { text } from "../i18n/messages.ts";
import type { ChangeFeed } from "../storage/change-feed.ts";
import type { Expectation } from "../storage/expectation.ts";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";
import { createLookupCache } from "../storage/lookup-cache.ts";
import type { Account } from "./account.ts";
import { refusedClaims } from "./account-claims.ts";
import { AccountError, type Fault, refuseFaults } from "./account-error.ts";
import { type AccountPage, type AccountQuestion, listAccounts } from "./account-list.ts";
import { lockAccount } from "./account-lock.ts";
import { fromStored, passwordLink, roleLinks, translate, WITH_ROLES } from "./account-rows.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import { voidMailedLinks } from "./one-time-tokens.ts";
import { ADMIN_ROLE, checkRoleName, keepAnAdministrator } from "./roles.ts";

/** A change made on another process shows at once through the feed; this is how long one can go unseen when the feed is broken. */
const CACHE_MS = 60_000;
const CACHED_ACCOUNTS = 10_000;
export const MAX_NAME_LENGTH = 200;

export type { Account } from "./account.ts";

/** What checking a password needs to know, in one query that costs the same whether there is such an account or not. */
export interface SignInRecord {
  readonly accountId: string;
  readonly emailVerified: boolean;
  readonly disabled: boolean;
  /** argon2id PHC string of the password; for an unverified account, of its newest sign-up that can still be confirmed. */
  readonly passwordHash: string | undefined;
  /** When the account's password was chosen. */
  readonly passwordChosenAt: Date | undefined;
}

export interface NewAccount {
  email: string;
  name?: string;
  emailVerified?: boolean;
  claims?: Record<string, unknown>;
  /** Made on first use. */
  roles?: readonly string[];
  /** argon2id PHC string. */
  passwordHash?: string;
}

/** What is absent stays; `null` removes. */
export interface AccountChanges {
  email?: string;
  name?: string | null;
  emailVerified?: boolean;
  claims?: Record<string, unknown>;
  roles?: readonly string[];
  passwordHash?: string;
}

export interface AccountStore {
  /** From the cache when it is warm; `undefined` when there is no such account. One that may not be used is found as well: ask `isUsable`. */
  find(id: string): Promise<Account | undefined>;
  /** By an address in any spelling. */
  findByEmail(email: string): Promise<Account | undefined>;
  /** By id or address, as people type it on a command line. @throws AccountError `not_found` */
  get(idOrEmail: string): Promise<Account>;
  /** Never from the cache. @param email normalised */
  findForSignIn(email: string): Promise<SignInRecord | undefined>;
  /** @throws AccountError `invalid_input`, `email_taken` */
  create(account: NewAccount): Promise<Account>;
  /**
   * Links that were mailed before are void with another address or password, and with what counts as verified.
   * @throws AccountError `not_found`, `invalid_input`, `email_taken`, `last_administrator`
   */
  update(id: string, changes: AccountChanges, expect?: Expectation<Account>): Promise<Account>;
  /** Puts a hash in place of another, unless that has been replaced meanwhile. */
  replacePasswordHash(id: string, old: string, fresh: string): Promise<void>;
  /** In the order in which they were made. */
  list(question?: AccountQuestion): Promise<AccountPage>;
  /**
   * Keeps the account and everything of it, but nobody signs in. Ending its sessions is the caller's.
   * @throws AccountError `not_found`, `last_administrator`
   */
  disable(id: string, expect?: Expectation<Account>): Promise<Account>;
  /** @throws AccountError `not_found` */
  enable(id: string, expect?: Expectation<Account>): Promise<Account>;
  /**
   * With its password, roles, consents and links; its id is never given again. Ending its sessions is the caller's.
   * @throws AccountError `not_found`, `last_administrator`
   */
  delete(id: string): Promise<void>;
  /** Whether somebody who can sign in holds the role. */
  holdsAnyone(role: string): Promise<boolean>;
  /** Makes every process read the account anew; for those who change it by a transaction of their own. */
  changed(id: string): Promise<void>;
  close(): void;
}

/**
 * 128 random bits: an id cannot be guessed, nor met a second time after its account was deleted. Never begins with a dash, which a command
 * line would take for an option.
 */
export function newAccountId(): string {
  for (;;) {
    const id = randomBytes(16).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}

/** @param now milliseconds since the epoch */
export function createAccountStore(prisma: PrismaClient, feed: ChangeFeed, now: () => number = Date.now): AccountStore {
  const byId = createLookupCache<Account>({
    max: CACHED_ACCOUNTS,
    ttl: CACHE_MS,
    load: async (id) => fromStored(await prisma.account.findUnique({ where: { id }, include: WITH_ROLES })),
  });
  /** Addresses lead to ids only: one change of an account then makes everything about it fresh. */
  const idByEmail = createLookupCache<{ id: string }>({
    max: CACHED_ACCOUNTS,
    ttl: CACHE_MS,
    load: async (email) => (await prisma.account.findUnique({ where: { email }, select: { id: true } })) ?? undefined,
  });
  const unsubscribe = [feed.subscribe("account", byId.forget), feed.subscribe("role", () => byId.forget(undefined))];

  async function find(id: string): Promise<Account | undefined> {
    return byId.get(id);
  }

  async function findByEmail(typed: string): Promise<Account | undefined> {
    const email = normalizeEmail(typed);
    const known = await idByEmail.get(email);
    const account = known && (await byId.get(known.id));
    if (account?.email === email || known === undefined) return account;
    idByEmail.forget(email); // the account was deleted or has another address by now
    const moved = await idByEmail.get(email);
    return moved && (await byId.get(moved.id));
  }

  const changed = (id: string) => feed.publish("account", id);

  /** Changes a row that is locked from the first look at it, so that of two changes at once each sees the other. */
  async function change(
    id: string,
    { data, expect, administrates }: { data: Prisma.AccountUpdateInput; expect?: Expectation<Account> | undefined; administrates: boolean },
  ): Promise<Account> {
    const stored = await prisma
      .$transaction(async (tx) => {
        if (!administrates) await keepAnAdministrator(tx, id);
        if (expect !== undefined) {
          await lockAccount(tx, id);
          const before = fromStored(await tx.account.findUnique({ where: { id }, include: WITH_ROLES }));
          if (before !== undefined) expect(before);
        }
        const changed = await tx.account.update({ where: { id }, data, include: WITH_ROLES });
        if (data.email !== undefined || data.emailVerified !== undefined || data.credentials !== undefined)
          await voidMailedLinks(tx, [id], new Date(now()));
        return changed;
      })
      .catch(translate);
    await changed(id);
    return fromStored(stored);
  }

  return {
    find,
    findByEmail,
    async get(idOrEmail) {
      const account = idOrEmail.includes("@") ? await findByEmail(idOrEmail) : await find(idOrEmail);
      if (account === undefined) throw new AccountError("not_found", `There is no account "${idOrEmail.slice(0, 254)}".`);
      return account;
    },
    async findForSignIn(email) {
      const at = new Date(now());
      const [row] = await prisma.$queryRaw<
        {
          id: string;
          email_verified: boolean;
          disabled_at: Date | null;
          secret: string | null;
          chosen_at: Date | null;
          pending: string | null;
        }[]
      >`
        SELECT a.id, a.email_verified, a.disabled_at, c.secret, c.updated_at AS chosen_at, (
          SELECT t.data->>'passwordHash' FROM one_time_token t
          WHERE t.account_id = a.id AND t.purpose = 'verify-email' AND t.used_at IS NULL AND t.expires_at > ${at}
          ORDER BY t.created_at DESC LIMIT 1) AS pending
        FROM account a LEFT JOIN credential c ON c.account_id = a.id AND c.kind = 'password'
        WHERE a.email = ${email}`;
      if (row === undefined) return undefined;
      const passwordHash = row.email_verified ? row.secret : (row.pending ?? row.secret);
      return {
        accountId: row.id,
        emailVerified: row.email_verified,
        disabled: row.disabled_at !== null,
        passwordHash: passwordHash ?? undefined,
        passwordChosenAt: row.chosen_at ?? undefined,
      };
    },
    async create(account) {
      const email = normalizeEmail(account.email);
      const name = tidyName(account.name);
      refuseFaults([...checkEmail(email), ...checkDetails({ ...account, name })]);
      const stored = await prisma.account
        .create({
          data: {
            id: newAccountId(),
            email,
            name: name ?? null,
            emailVerified: account.emailVerified ?? false,
            claims: (account.claims ?? {}) as Prisma.InputJsonObject,
            ...(account.roles === undefined ? {} : { roles: { create: roleLinks(account.roles) } }),
            ...(account.passwordHash === undefined ? {} : { credentials: { create: { kind: "password", secret: account.passwordHash } } }),
          },
          include: WITH_ROLES,
        })
        .catch(translate);
      return fromStored(stored);
    },
    async update(id, changes, expect) {
      const email = changes.email === undefined ? undefined : normalizeEmail(changes.email);
      const name = changes.name === null ? null : tidyName(changes.name);
      refuseFaults([...(email === undefined ? [] : checkEmail(email)), ...checkDetails({ ...changes, name })]);
      const data = {
        ...(email === undefined ? {} : { email }),
        ...(name === undefined ? {} : { name }),
        ...(changes.emailVerified === undefined ? {} : { emailVerified: changes.emailVerified }),
        ...(changes.claims === undefined ? {} : { claims: changes.claims as Prisma.InputJsonObject }),
        ...(changes.roles === undefined ? {} : { roles: { deleteMany: {}, create: roleLinks(changes.roles) } }),
        ...(changes.passwordHash === undefined ? {} : { credentials: passwordLink(id, changes.passwordHash) }),
      };
      return change(id, { data, expect, administrates: changes.roles?.includes(ADMIN_ROLE) ?? true });
    },
    async replacePasswordHash(id, old, fresh) {
      // `updated_at` says when the password was chosen: it is the same one.
      await prisma.$executeRaw`
        UPDATE credential SET secret = ${fresh} WHERE account_id = ${id} AND kind = 'password' AND secret = ${old}`;
    },
    list: (question = {}) => listAccounts(prisma, question),
    disable: (id, expect) => change(id, { data: { disabledAt: new Date(now()) }, expect, administrates: false }),
    enable: (id, expect) => change(id, { data: { disabledAt: null }, expect, administrates: true }),
    async delete(id) {
      await prisma
        .$transaction(async (tx) => {
          await keepAnAdministrator(tx, id);
          await tx.account.delete({ where: { id } });
        })
        .catch(translate);
      await changed(id);
    },
    async holdsAnyone(role) {
      return (
        (await prisma.accountRole.findFirst({
          where: { roleName: role, account: { disabledAt: null, deleteAt: null } },
          select: { accountId: true },
        })) !== null
      );
    },
    changed,
    close() {
      for (const stop of unsubscribe) stop();
    },
  };
}

/** Trimmed, without line breaks and other control characters; `undefined` for nothing at all. */
export function tidyName(typed: string | undefined): string | undefined {
  const name = typed
    ?.normalize("NFC")
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .trim();
  return name === "" ? undefined : name;
}

/** Faults of everything but the address and the password. */
export function checkDetails(details: {
  name?: string | null | undefined;
  claims?: Record<string, unknown>;
  roles?: readonly string[];
}): Fault[] {
  const tooLong = (details.name?.length ?? 0) > MAX_NAME_LENGTH;
  return [
    ...(tooLong ? [{ field: "name", message: text("faults:name_long", { count: MAX_NAME_LENGTH }) }] : []),
    ...refusedClaims(details.claims ?? {}).map((name) => ({
      field: "claims",
      message: `The claim "${name}" is not known, has the wrong type or is too long.`,
    })),
    ...(details.roles ?? []).flatMap(checkRoleName),
  ];
}
