/**
 * Whose account a provider's word opens. An account at a provider is known by its issuer and subject, never by its address (OIDC Core §5.7); it
 * is connected by a person who is signed in here, or by an address that both sides have verified, where the operator allows that.
 */
import type { Account } from "../accounts/account.ts";
import { lockAccount } from "../accounts/account-lock.ts";
import { type AccountStore, newAccountId } from "../accounts/account-store.ts";
import { verifyFirst } from "../accounts/first-verification.ts";
import { requireWayIn } from "../accounts/ways-in.ts";
import { Prisma, type PrismaClient } from "../storage/generated/client.ts";
import { SignInProblem } from "./federation-error.ts";
import type { Identity } from "./identity.ts";
import type { IdentityProvider } from "./provider.ts";

/** Of two that make an account with one address at once, such as a sign-in and a sign-up, the second finds it on its next try. */
const TRIES = 4;

export interface LinkedIdentity {
  readonly issuer: string;
  readonly subject: string;
  readonly label: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | undefined;
}

export interface SignedIn {
  readonly account: Account;
  readonly how: "known" | "linked" | "created";
}

export interface Linking {
  /**
   * The account that an identity opens, connected or made where the rules let it. Raced or not, one identity opens one account, and one address
   * makes one.
   * @throws {SignInProblem} `unverified_address`, `address_taken`, `no_account`, `account_closed`
   */
  signIn(provider: IdentityProvider, identity: Identity): Promise<SignedIn>;
  /** Connects it to somebody who is signed in. @returns whether it was not so before @throws {SignInProblem} `linked_elsewhere`, `account_closed` */
  link(accountId: string, identity: Identity): Promise<boolean>;
  /** Of an account, oldest first. */
  list(accountId: string): Promise<LinkedIdentity[]>;
  /** @returns whether it was there @throws {AccountError} `last_way_in` */
  unlink(accountId: string, identity: Pick<Identity, "issuer" | "subject">): Promise<boolean>;
}

export interface LinkingOptions {
  prisma: PrismaClient;
  accounts: Pick<AccountStore, "get" | "changed">;
  signUp: "open" | "invite" | "closed";
  /** For which passkeys count as ways in: today's RP ID. */
  rpId: string;
  /** Ends every session, grant and token of an account. */
  endAccount(accountId: string): Promise<void>;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

type Transaction = Prisma.TransactionClient;

export function createLinking({ prisma, accounts, signUp, rpId, endAccount, now = Date.now }: LinkingOptions): Linking {
  /** In one transaction, again when somebody else made the same row first. */
  async function raced<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await prisma.$transaction(work);
      } catch (error) {
        const lost = error instanceof Prisma.PrismaClientKnownRequestError && (error.code === "P2002" || error.code === "P2034");
        if (!lost || tries === TRIES) throw error;
      }
    }
  }

  async function decide(tx: Transaction, provider: IdentityProvider, identity: Identity): Promise<{ id: string; how: SignedIn["how"] }> {
    const { issuer, subject, email } = identity;
    // Of two sign-ins of one identity at once the second sees what the first made of it.
    await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`${issuer} ${subject}`}, 0))::text`;
    const known = await tx.federatedIdentity.findUnique({ where: { issuer_subject: { issuer, subject } }, include: { account: true } });
    if (known !== null) {
      if (known.account.disabledAt !== null || !known.account.emailVerified) throw new SignInProblem("account_closed");
      return { id: known.accountId, how: "known" };
    }
    if (email === undefined || !identity.emailVerified) throw new SignInProblem("unverified_address");
    const [there] = await tx.$queryRaw<{ id: string; email_verified: boolean; disabled_at: Date | null }[]>`
      SELECT id, email_verified, disabled_at FROM account WHERE email = ${email} FOR UPDATE`;
    if (there === undefined) {
      await admit(tx, provider, email);
      const { id } = await tx.account.create({ data: { id: newAccountId(), email, emailVerified: true }, select: { id: true } });
      return { id, how: "created" };
    }
    if (there.disabled_at !== null) throw new SignInProblem("account_closed");
    if (there.email_verified) {
      if (!provider.linkByEmail) throw new SignInProblem("address_taken");
      return { id: there.id, how: "linked" };
    }
    // Somebody has signed up with it and never shown that it is theirs: whatever they left there is void.
    await admit(tx, provider, email);
    await verifyFirst(tx, there.id, new Date(now()));
    return { id: there.id, how: "created" };
  }

  /** Whether the owner of an address may have an account made for them; an invitation of theirs is used up. */
  async function admit(tx: Transaction, provider: IdentityProvider, email: string): Promise<void> {
    const at = new Date(now());
    if (!provider.signUp || signUp === "closed") throw new SignInProblem("no_account");
    const used = await tx.$executeRaw`
      UPDATE one_time_token SET used_at = ${at}
      WHERE purpose = 'invitation' AND data->>'email' = ${email} AND used_at IS NULL AND expires_at > ${at}`;
    if (signUp === "invite" && used === 0) throw new SignInProblem("no_account");
  }

  return {
    async signIn(provider, identity) {
      const taken = await unverifiedAccount(identity);
      if (taken !== undefined) await endAccount(taken);
      const { id, how } = await raced(async (tx) => {
        const decided = await decide(tx, provider, identity);
        const { issuer, subject, label } = identity;
        const lastUsedAt = new Date(now());
        if (decided.how === "known") await tx.federatedIdentity.updateMany({ where: { issuer, subject }, data: { label, lastUsedAt } });
        else await tx.federatedIdentity.create({ data: { issuer, subject, label, lastUsedAt, accountId: decided.id } });
        if (decided.how === "created" || provider.updateAtSignIn) await takeOver(tx, decided.id, identity);
        if (identity.roles !== undefined) await followRoles(tx, decided.id, identity.roles);
        return decided;
      });
      if (how !== "known" || provider.updateAtSignIn || identity.roles !== undefined) await accounts.changed(id);
      return { account: await accounts.get(id), how };
    },

    async link(accountId, { issuer, subject, label }) {
      return raced(async (tx) => {
        await lockAccount(tx, accountId); // so that whoever disconnects it in another tab comes before or after
        const account = await tx.account.findUnique({ where: { id: accountId } });
        if (account === null || account.disabledAt !== null || account.deleteAt !== null) throw new SignInProblem("account_closed");
        const known = await tx.federatedIdentity.findUnique({ where: { issuer_subject: { issuer, subject } } });
        if (known !== null && known.accountId !== accountId) throw new SignInProblem("linked_elsewhere");
        if (known === null) await tx.federatedIdentity.create({ data: { issuer, subject, label, accountId } });
        return known === null;
      });
    },

    async list(accountId) {
      const rows = await prisma.federatedIdentity.findMany({ where: { accountId }, orderBy: { createdAt: "asc" } });
      return rows.map(({ lastUsedAt, ...row }) => ({ ...row, lastUsedAt: lastUsedAt ?? undefined }));
    },

    async unlink(accountId, { issuer, subject }) {
      return prisma.$transaction(async (tx) => {
        await lockAccount(tx, accountId);
        const { count } = await tx.federatedIdentity.deleteMany({ where: { issuer, subject, accountId } });
        if (count > 0) await requireWayIn(tx, accountId, rpId);
        return count > 0;
      });
    },
  };

  /** One that is about to be taken over; what it holds ends before its owner comes in. */
  async function unverifiedAccount({ email, emailVerified }: Identity): Promise<string | undefined> {
    if (email === undefined || !emailVerified) return undefined;
    return (await prisma.account.findUnique({ where: { email, emailVerified: false }, select: { id: true } }))?.id;
  }
}

async function takeOver(tx: Transaction, id: string, { name, claims }: Identity): Promise<void> {
  const before = await tx.account.findUniqueOrThrow({ where: { id }, select: { claims: true } });
  await tx.account.update({
    where: { id },
    data: { ...(name !== undefined && { name }), claims: { ...(before.claims as object), ...claims } as Prisma.InputJsonObject },
  });
}

/** Gives and takes what is the provider's to give; every other role stays. One that does not exist here is not made. */
async function followRoles(tx: Transaction, accountId: string, { held, managed }: NonNullable<Identity["roles"]>): Promise<void> {
  await tx.accountRole.deleteMany({ where: { accountId, roleName: { in: managed.filter((role) => !held.includes(role)) } } });
  const there = await tx.role.findMany({ where: { name: { in: [...held] } }, select: { name: true } });
  await tx.accountRole.createMany({ data: there.map(({ name: roleName }) => ({ accountId, roleName })), skipDuplicates: true });
}
