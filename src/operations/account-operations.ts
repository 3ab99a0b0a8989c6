/** What an operator does with people's accounts. */
import { randomBytes } from "node:crypto";
import type { Account } from "../accounts/account.ts";
import { AccountError, refuseFaults } from "../accounts/account-error.ts";
import { type AccountStore, checkDetails } from "../accounts/account-store.ts";
import { checkEmail, normalizeEmail } from "../accounts/email-address.ts";
import type { PasswordPolicy } from "../accounts/password-policy.ts";
import type { Passwords } from "../accounts/passwords.ts";
import { ADMIN_ROLE, type Roles } from "../accounts/roles.ts";
import type { SignUp } from "../accounts/sign-up.ts";
import type { AuditLog } from "../observability/audit-log.ts";
import type { Expectation } from "../storage/expectation.ts";
import { finishing, type Operator } from "./operator.ts";

/** 144 bits: nobody guesses it, and it is short enough to be typed once. */
const GENERATED_BYTES = 18;

export interface NewAccountOrder {
  email: string;
  /** Absent: one is made and returned. */
  password?: string;
  name?: string;
  /** Further OpenID Connect standard claims. */
  claims?: Readonly<Record<string, unknown>>;
  roles?: readonly string[];
  /** The address counts as verified; otherwise its owner gets a mail with a link. */
  verified: boolean;
}

/** What is absent stays. */
export interface AccountOrder {
  email?: string;
  password?: string;
  /** Empty: removed. */
  name?: string;
  /** Further OpenID Connect standard claims: what is given replaces, `null` removes. */
  claims?: Readonly<Record<string, unknown>>;
  /** In place of all that there are. */
  roles?: readonly string[];
  /** Gives or takes the role of administrators; the others stay. */
  admin?: boolean;
  verified?: boolean;
}

export interface AccountOperations {
  /** @throws {AccountError} `invalid_input` naming every fault, `email_taken` */
  create(by: Operator, order: NewAccountOrder): Promise<{ account: Account; generatedPassword?: string }>;
  /**
   * A new password or an address that no longer counts as verified ends every session and token of the account.
   * Links that were mailed before end with a change of the address, of the password and of what counts as verified.
   * @throws {AccountError} `not_found`, `invalid_input`, `email_taken`, `last_administrator`
   */
  update(by: Operator, idOrEmail: string, order: AccountOrder, expect?: Expectation<Account>): Promise<Account>;
  /** Nobody signs in to it any more, and every session and token of it ends. @throws {AccountError} `not_found`, `last_administrator` */
  disable(by: Operator, idOrEmail: string): Promise<Account>;
  /** Everywhere: every session, grant and token of it ends, and its owner may sign in again. @throws {AccountError} `not_found` */
  signOut(by: Operator, idOrEmail: string): Promise<Account>;
  /** @throws {AccountError} `not_found` */
  enable(by: Operator, idOrEmail: string): Promise<Account>;
  /** With everything of it; its sessions and tokens end first. @throws {AccountError} `not_found`, `last_administrator` */
  delete(by: Operator, idOrEmail: string, expect?: Expectation<Account>): Promise<Account>;
  /** Mails a link with which the owner of the address opens an account. @throws {AccountError} `invalid_input`, `email_taken`, `sign_up_closed` */
  invite(by: Operator, email: string): Promise<{ email: string; link: string; expiresAt: Date }>;
}

export interface AccountOperationsOptions {
  accounts: AccountStore;
  roles: Pick<Roles, "ensureBuiltIn">;
  passwords: Pick<Passwords, "hash">;
  passwordPolicy: Pick<PasswordPolicy, "check">;
  signUp: Pick<SignUp, "invite">;
  /** Mails the owner of an unverified address a link. */
  mailVerification(accountId: string): Promise<void>;
  /** Ends every session, grant and token of an account. */
  endAccount(accountId: string): Promise<void>;
  audit: Pick<AuditLog, "record">;
}

export function createAccountOperations(options: AccountOperationsOptions): AccountOperations {
  const { accounts, roles, passwords, passwordPolicy, signUp, mailVerification, endAccount, audit } = options;

  const record = (by: Operator, what: string, accountId: string | undefined, detail?: Record<string, string | boolean>): void =>
    audit.record({ event: `account.${what}`, outcome: "success", ...by, accountId, ...(detail && { detail }) });

  /** @param done what counts already, should the store of sessions and tokens be away */
  const endAll = (accountId: string, done: string): Promise<void> => finishing(done, "sessions and tokens", () => endAccount(accountId));

  const checkPassword = (password: string, about: readonly (string | undefined)[]) =>
    passwordPolicy.check(password, { standsAlone: true, about });

  return {
    async create(by, order) {
      const { password = generatePassword(), name, claims, roles: names, verified } = order;
      const email = normalizeEmail(order.email);
      const faults = order.password === undefined ? [] : await checkPassword(password, [email, name]);
      refuseFaults([...checkEmail(email), ...faults, ...checkDetails({ name, ...(claims && { claims }), ...(names && { roles: names }) })]);
      if (names?.includes(ADMIN_ROLE)) await roles.ensureBuiltIn();
      const account = await accounts.create({
        email,
        emailVerified: verified,
        passwordHash: await passwords.hash(password),
        ...(name !== undefined && { name }),
        ...(claims !== undefined && { claims }),
        ...(names !== undefined && { roles: names }),
      });
      record(by, "created", account.id, { verified, ...(names && { roles: names.join(" ") }) });
      if (!verified) await mailVerification(account.id);
      return { account, ...(order.password === undefined && { generatedPassword: password }) };
    },

    async update(by, idOrEmail, order, expect) {
      const before = await accounts.get(idOrEmail);
      const { email, password, name, verified } = order;
      const names = wantedRoles(before.roles, order);
      const claims = order.claims && merged(before.claims, order.claims);
      refuseFaults([
        ...(email === undefined ? [] : checkEmail(normalizeEmail(email))),
        ...(password === undefined ? [] : await checkPassword(password, [email ?? before.email, name ?? before.name])),
        ...checkDetails({ name, ...(claims && { claims }), ...(names && { roles: names }) }),
      ]);
      if (names?.includes(ADMIN_ROLE)) await roles.ensureBuiltIn();
      const changes = {
        ...(email !== undefined && { email }),
        ...(name !== undefined && { name: name.trim() === "" ? null : name }),
        ...(claims !== undefined && { claims }),
        ...(names !== undefined && { roles: names }),
        ...(verified !== undefined && { emailVerified: verified }),
        ...(password !== undefined && { passwordHash: await passwords.hash(password) }),
      };
      const account = await accounts.update(before.id, changes, expect);
      record(by, "updated", account.id, { changed: Object.keys(order).join(" "), ...(names && { roles: names.join(" ") }) });
      if (password !== undefined || verified === false) await endAll(account.id, "The account is changed");
      if (verified === false) await mailVerification(account.id);
      return account;
    },

    async disable(by, idOrEmail) {
      const { id } = await accounts.get(idOrEmail);
      const account = await accounts.disable(id);
      record(by, "disabled", id);
      await endAll(id, "The account is disabled");
      return account;
    },

    async signOut(by, idOrEmail) {
      const account = await accounts.get(idOrEmail);
      await endAccount(account.id);
      record(by, "signed_out", account.id);
      return account;
    },

    async enable(by, idOrEmail) {
      const account = await accounts.enable((await accounts.get(idOrEmail)).id);
      record(by, "enabled", account.id);
      return account;
    },

    async delete(by, idOrEmail, expect) {
      const account = await accounts.get(idOrEmail);
      // Disabled first: nobody signs in between the ending and the removal, and an order that failed half-way can be given again.
      await accounts.disable(account.id, expect);
      await endAll(account.id, "The account is disabled and not deleted");
      await accounts.delete(account.id);
      record(by, "deleted", account.id);
      return account;
    },

    async invite(by, email) {
      if ((await accounts.findByEmail(email))?.emailVerified) {
        throw new AccountError("email_taken", "There is already an account with this e-mail address.");
      }
      const invitation = await signUp.invite(email);
      record(by, "invited", undefined, { email: invitation.email });
      return invitation;
    },
  };
}

/** @returns undefined when nothing is said about roles */
function wantedRoles(before: readonly string[], { roles, admin }: AccountOrder): string[] | undefined {
  if (roles === undefined && admin === undefined) return undefined;
  const wanted = new Set(roles ?? before);
  if (admin === true) wanted.add(ADMIN_ROLE);
  if (admin === false) wanted.delete(ADMIN_ROLE);
  return [...wanted];
}

/** RFC 7396, of one level: `null` removes. */
function merged(before: Readonly<Record<string, unknown>>, changes: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null));
}

function generatePassword(): string {
  return randomBytes(GENERATED_BYTES).toString("base64url");
}
