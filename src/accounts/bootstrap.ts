import { text } from "../i18n/messages.ts";
import type { PrismaClient } from "../storage/generated/client.ts";
import { AccountError, refuseFaults } from "./account-error.ts";
import { passwordLink } from "./account-rows.ts";
import { type Account, type AccountStore, checkDetails, newAccountId, tidyName } from "./account-store.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import { verifyFirst } from "./first-verification.ts";
import type { OneTimeTokens } from "./one-time-tokens.ts";
import type { PasswordPolicy } from "./password-policy.ts";
import type { Passwords } from "./passwords.ts";
import { ADMIN_ROLE } from "./roles.ts";

const LINK_SECONDS = 3600;
/** Processes that start together print one link between them; whoever starts again later gets a new one. */
const TOGETHER_SECONDS = 5;
/** PostgreSQL advisory lock: who prints, and who becomes the first administrator, is settled one at a time. */
const LOCK = 1_196_573_283;

export interface FirstAdministrator {
  readonly token: string;
  readonly email: string;
  readonly password: string;
  readonly name?: string | undefined;
}

/** How the first administrator comes to be on somebody's own machine, without a command. */
export interface Bootstrap {
  /**
   * Makes a link that is good for one hour and one use, if the issuer is a loopback address, nobody who can sign in is an administrator, and no
   * other process has just made one. Print it beside the log, never through it.
   */
  link(): Promise<string | undefined>;
  /** Whether a link would work now; it stays live. */
  isLive(token: string): Promise<boolean>;
  /**
   * Uses the link up for a verified account with the role `admin`.
   * @throws AccountError `invalid_input` (the link stays live), `email_taken`, `link_invalid`
   */
  create(form: FirstAdministrator): Promise<Account>;
}

/** @param now milliseconds since the epoch */
export function createBootstrap(options: {
  prisma: PrismaClient;
  accounts: AccountStore;
  tokens: OneTimeTokens;
  passwords: Passwords;
  passwordPolicy: Pick<PasswordPolicy, "check">;
  issuer: string;
  loopback: boolean;
  now?: () => number;
}): Bootstrap {
  const { prisma, accounts, tokens, passwords, passwordPolicy, issuer, loopback, now = Date.now } = options;

  async function isLive(token: string): Promise<boolean> {
    if (!loopback || (await accounts.holdsAnyone(ADMIN_ROLE))) return false;
    return (await tokens.peek("bootstrap-admin", token)) !== undefined;
  }

  return {
    isLive,
    async link() {
      if (!loopback || (await accounts.holdsAnyone(ADMIN_ROLE))) return undefined;
      const mayPrint = await prisma.$transaction(async (tx) => {
        await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK})`;
        const recent = await tx.oneTimeToken.count({
          where: { purpose: "bootstrap-announced", expiresAt: { gt: new Date(now()) } },
        });
        if (recent > 0) return false;
        // Keeps the place of this start. It is no link: nothing hashes to it.
        const hash = "bootstrap-announced";
        const expiresAt = new Date(now() + TOGETHER_SECONDS * 1000);
        await tx.oneTimeToken.upsert({ where: { hash }, create: { hash, purpose: hash, expiresAt }, update: { expiresAt } });
        return true;
      });
      if (!mayPrint) return undefined;
      return `${issuer}/bootstrap?token=${await tokens.issue("bootstrap-admin", { ttl: LINK_SECONDS })}`;
    },
    async create(form) {
      const email = normalizeEmail(form.email);
      const name = tidyName(form.name);
      if (!(await isLive(form.token))) throw invalid();
      const password = await passwordPolicy.check(form.password, { standsAlone: true, about: [email, name] });
      refuseFaults([...checkEmail(email), ...password, ...checkDetails({ name })]);
      const secret = await passwords.hash(form.password);
      const id = await prisma.$transaction(async (tx) => {
        await tx.$executeRaw`SELECT pg_advisory_xact_lock(${LOCK})`;
        const admin = await tx.accountRole.findFirst({ where: { roleName: ADMIN_ROLE, account: { disabledAt: null, deleteAt: null } } });
        if (admin !== null || (await tokens.take("bootstrap-admin", form.token, tx)) === undefined) throw invalid();
        const there = await tx.account.findUnique({ where: { email } });
        if (there?.emailVerified === true) {
          throw new AccountError(
            "email_taken",
            text("bootstrap:email_taken", { email, command: `npm run -s grantor -- account update ${email} --admin` }),
          );
        }
        // An unverified sign-up with the address is taken over, and what it said is void.
        const account = await tx.account.upsert({
          where: { email },
          create: { id: newAccountId(), email, name: name ?? null },
          update: { name: name ?? null, disabledAt: null, deleteAt: null, claims: {} },
        });
        await verifyFirst(tx, account.id, new Date(now()));
        await tx.account.update({ where: { id: account.id }, data: { credentials: passwordLink(account.id, secret) } });
        await tx.accountRole.deleteMany({ where: { accountId: account.id } });
        await tx.accountRole.create({
          data: {
            account: { connect: { id: account.id } },
            role: { connectOrCreate: { where: { name: ADMIN_ROLE }, create: { name: ADMIN_ROLE } } },
          },
        });
        return account.id;
      });
      await accounts.changed(id);
      return accounts.get(id);
    },
  };
}

function invalid(): AccountError {
  return new AccountError("link_invalid", text("bootstrap:link_dead"));
}
