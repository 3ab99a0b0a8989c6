/** `grantor account …` */
import { type Command, Option } from "commander";
import type { Account } from "../accounts/account.ts";
import type { AccountOperations, AccountOrder } from "../operations/account-operations.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import type { WayInOperations, WaysIn } from "../operations/way-in-operations.ts";
import { type Answer, leaf, moreNote, type PageOptions, paged, type Run, repeatable, UsageError } from "./commands.ts";
import { firstFound, readCursor, writeCursor } from "./list-cursor.ts";
import type { OperatorServices } from "./operator-services.ts";
import { type Cells, details, numericDate, table, time, yesNo } from "./output.ts";
import { askHidden, isInteractive, readInput } from "./prompt.ts";
import { roleOperations } from "./role-commands.ts";

const ADMIN_ROLE = "admin";

interface CreateOptions {
  email: string;
  password?: string;
  name?: string;
  role?: string[];
  admin?: boolean;
  unverified?: boolean;
}

interface UpdateOptions {
  email?: string;
  password?: string;
  name?: string;
  role?: string[] | false;
  admin?: boolean;
  unverified?: boolean;
  verified?: boolean;
}

interface ListOptions extends PageOptions {
  search?: string;
  role?: string;
  disabled?: true;
  unverified?: true;
}

export function addAccountCommands(account: Command, run: Run): void {
  leaf(account, "create", "make an account; without --password it asks for one on a terminal, and makes and prints one elsewhere")
    .requiredOption("--email <address>", "e-mail address")
    .option("--password <password>", "at least 15 characters; - reads it from standard input")
    .option("--name <name>", "full name")
    .addOption(repeatable("--role <role>", "a role; made when there is none of that name"))
    .option("--admin", "make an administrator: the role admin")
    .option("--unverified", "let the owner of the address confirm it by a link that is mailed")
    .action(
      run(async (services, options: CreateOptions) => {
        const password = await passwordOf(options.password, true);
        const roles = [...(options.role ?? []), ...(options.admin === true ? [ADMIN_ROLE] : [])];
        const { account: made, generatedPassword } = await (await operations(services)).create(COMMAND_LINE, {
          email: options.email,
          verified: options.unverified !== true,
          roles,
          ...(password !== undefined && { password }),
          ...(options.name !== undefined && { name: options.name }),
        });
        const shown = answer(made);
        if (generatedPassword === undefined) return shown;
        return {
          json: { ...shown.json, password: generatedPassword },
          text: `${shown.text}\n\nPassword (shown this once): ${generatedPassword}`,
        };
      }),
    );

  paged(leaf(account, "list", "list accounts in the order in which they were made"))
    .option("--search <text>", "only those with these words in their address or name; the last one may be only begun")
    .option("--role <role>", "only those that have it")
    .option("--disabled", "only those that nobody may sign in to")
    .option("--unverified", "only those whose owner has not confirmed the address")
    .action(
      run(async (services, { limit, cursor, search, role, disabled, unverified }: ListOptions) => {
        const store = await services.accounts();
        const question = {
          ...(limit !== undefined && { limit }),
          ...(search !== undefined && { search }),
          ...(role !== undefined && { role }),
          ...(disabled === true && { disabled }),
          ...(unverified === true && { verified: false }),
        };
        const page = await firstFound(
          (after) => store.list({ ...question, ...(after !== undefined && { after }) }),
          ({ accounts }) => accounts.length === 0,
          cursor === undefined ? undefined : readCursor(cursor),
        );
        const next = page.next && writeCursor(page.next);
        const rows = page.accounts.map((each) => [
          ["email", each.email] as const,
          ["name", each.name] as const,
          ["roles", each.roles.join(" ")] as const,
          ["state", stateOf(each)] as const,
          ["id", each.id] as const,
        ]);
        return {
          json: { accounts: page.accounts.map(toJson), ...(next !== undefined && { next }) },
          text: table(rows, "There are no such accounts."),
          ...moreNote(next),
        };
      }),
    );

  leaf(account, "show <account>", "show the account with this e-mail address or id").action(
    run(async (services, who: string) => waysAnswer(await (await wayInOperations(services)).show(who))),
  );

  leaf(account, "reset-password <account>", "mail its owner a link with which they choose another password").action(
    run(async (services, who: string) => {
      const { id, email } = await (await wayInOperations(services)).resetPassword(COMMAND_LINE, who);
      const { outbox } = (await services.people()).mailer;
      return {
        json: { sub: id, email, mailed: true },
        text: `A link is mailed to ${email}. Until it is used, the password stays.`,
        ...(outbox !== undefined && { notes: [`SMTP_URL is not set: the mail is in ${outbox}`] }),
      };
    }),
  );

  leaf(
    account,
    "remove-second-factor <account>",
    "take authenticator app, passkeys and recovery codes away from whoever has lost them",
  ).action(
    run(async (services, who: string) => {
      const { removed, ...left } = await (await wayInOperations(services)).removeSecondFactor(COMMAND_LINE, who);
      const shown = waysAnswer(left);
      const { factors, identities } = left;
      const shut = factors.password === undefined && identities.length === 0;
      const notes = [
        ...(removed ? [] : ["The account had no second factor."]),
        ...(shut ? ["Nothing is left to sign in with: send a link with account reset-password."] : []),
        ...(factors.password?.standsAlone === false
          ? ["The password is too short to be the only factor: send a link with account reset-password."]
          : []),
      ];
      return { ...shown, json: { ...shown.json, removed }, notes };
    }),
  );

  leaf(account, "grant-role <account> <role>", "give a role beside those that it has").action(
    run(async (services, who: string, role: string) => answer(await (await roleOperations(services)).grant(COMMAND_LINE, who, role))),
  );

  leaf(account, "revoke-role <account> <role>", "take a role away; the next tokens are without it").action(
    run(async (services, who: string, role: string) => ({
      ...answer(await (await roleOperations(services)).revoke(COMMAND_LINE, who, role)),
      notes: ["Access tokens that were given before keep what the role permitted until they expire; account sign-out ends them at once."],
    })),
  );

  leaf(account, "sign-out <account>", "end every session and token of it, in every browser, application and device").action(
    run(async (services, who: string) => {
      const { id, email } = await (await operations(services)).signOut(COMMAND_LINE, who);
      return { json: { sub: id, email, signed_out: true }, text: `The account ${email} is signed out everywhere.` };
    }),
  );

  leaf(account, "disable <account>", "let nobody sign in to it, and end every session and token of it").action(
    run(async (services, who: string) => answer(await (await operations(services)).disable(COMMAND_LINE, who))),
  );

  leaf(account, "enable <account>", "let its owner sign in again").action(
    run(async (services, who: string) => answer(await (await operations(services)).enable(COMMAND_LINE, who))),
  );

  leaf(account, "delete <account>", "remove it with everything of it, and end every session and token of it").action(
    run(async (services, who: string) => {
      const deleted = await (await operations(services)).delete(COMMAND_LINE, who);
      return { json: { sub: deleted.id, email: deleted.email, deleted: true }, text: `The account ${deleted.email} is deleted.` };
    }),
  );

  leaf(account, "invite", "mail somebody a link with which they open an account")
    .requiredOption("--email <address>", "whom to invite")
    .action(
      run(async (services, { email }: { email: string }) => {
        const invitation = await (await operations(services)).invite(COMMAND_LINE, email);
        const { outbox } = (await services.people()).mailer;
        return {
          json: { email: invitation.email, link: invitation.link, expires_at: numericDate(invitation.expiresAt) },
          text: details([
            ["email", invitation.email],
            ["link", invitation.link],
            ["expires", time(invitation.expiresAt)],
          ]),
          ...(outbox !== undefined && { notes: [`SMTP_URL is not set: the mail is in ${outbox}`] }),
        };
      }),
    );

  leaf(account, "update <account>", "change what is given, and leave the rest; a new password ends every session and token")
    .option("--email <address>", "another e-mail address")
    .option("--password <password>", "another password, of at least 15 characters; - reads it from standard input")
    .option("--name <name>", "full name; empty takes it away")
    .addOption(repeatable("--role <role>", "in place of all roles that it has"))
    .option("--no-role", "take all roles away")
    .option("--admin", "give the role admin, and leave the others")
    .option("--no-admin", "take the role admin away")
    .option("--unverified", "let the owner of the address confirm it by a link that is mailed; ends every session and token")
    .addOption(new Option("--verified", "the address counts as confirmed").conflicts("unverified"))
    .action(
      run(async (services, who: string, options: UpdateOptions) => {
        const password = await passwordOf(options.password, false);
        const order: AccountOrder = {
          ...(options.email !== undefined && { email: options.email }),
          ...(password !== undefined && { password }),
          ...(options.name !== undefined && { name: options.name }),
          ...(options.role !== undefined && { roles: options.role === false ? [] : options.role }),
          ...(options.admin !== undefined && { admin: options.admin }),
          ...(options.unverified === true && { verified: false }),
          ...(options.verified === true && { verified: true }),
        };
        if (Object.keys(order).length === 0) throw new UsageError("say what to change");
        return answer(await (await operations(services)).update(COMMAND_LINE, who, order));
      }),
    );
}

/** @returns undefined: none was given, and a new account gets one that is made for it */
async function passwordOf(option: string | undefined, ask: boolean): Promise<string | undefined> {
  if (option === "-") return readInput();
  if (option !== undefined || !ask || !isInteractive()) return option;
  const typed = await askHidden("Password (empty: one is made and shown): ");
  if (typed === "") return undefined;
  if ((await askHidden("The same again: ")) !== typed) throw new Error("The two passwords differ. Nothing was done.");
  return typed;
}

async function operations(services: OperatorServices): Promise<AccountOperations> {
  const { createAccountOperations } = await import("../operations/account-operations.ts");
  return createAccountOperations({
    accounts: await services.accounts(),
    roles: await services.roles(),
    audit: await services.audit(),
    passwords: { hash: async (password) => (await services.passwords()).hash(password) },
    passwordPolicy: { check: async (password, use) => (await services.passwordPolicy()).check(password, use) },
    signUp: { invite: async (email) => (await services.people()).signUp.invite(email) },
    mailVerification: async (id) => (await services.people()).verification.resend(id),
    endAccount: async (id) => (await services.records()).endings.endAccount(id),
  });
}

async function wayInOperations(services: OperatorServices): Promise<WayInOperations> {
  const { createWayInOperations } = await import("../operations/way-in-operations.ts");
  return createWayInOperations({
    accounts: await services.accounts(),
    factors: await services.factors(),
    linking: await services.linking(),
    audit: await services.audit(),
    passwordReset: { send: async (account) => (await services.people()).passwordReset.send(account) },
    tellOwner: async (account, change) => (await services.people()).notices.tell(account, change, {}),
  });
}

/** OpenID Connect's names for what it names. */
function toJson(account: Account): Record<string, unknown> {
  return {
    ...account.claims,
    sub: account.id,
    email: account.email,
    email_verified: account.emailVerified,
    ...(account.name !== undefined && { name: account.name }),
    roles: account.roles,
    permissions: account.permissions,
    disabled: account.disabledAt !== undefined,
    ...(account.disabledAt !== undefined && { disabled_at: numericDate(account.disabledAt) }),
    ...(account.deleteAt !== undefined && { delete_at: numericDate(account.deleteAt) }),
    created_at: numericDate(account.createdAt),
    updated_at: numericDate(account.updatedAt),
  };
}

const answer = (account: Account): Answer => ({ json: toJson(account), text: details(detailsOf(account)) });

function detailsOf(account: Account): Cells {
  return [
    ["id", account.id],
    ["email", account.email],
    ["name", account.name],
    ["roles", account.roles.join(" ")],
    ["permissions", account.permissions.join(" ")],
    ["state", stateOf(account)],
    ["disabled", time(account.disabledAt)],
    ["deleted on", time(account.deleteAt)],
    ["created", time(account.createdAt)],
    ["changed", time(account.updatedAt)],
  ];
}

function waysAnswer({ account, factors, identities }: WaysIn): Answer {
  const { password, totp, passkeys, recoveryCodes } = factors;
  const shown = answer(account);
  return {
    json: {
      ...shown.json,
      has_password: password !== undefined,
      totp,
      passkeys,
      recovery_codes: recoveryCodes,
      providers: identities.map(({ issuer, subject, label }) => ({ issuer, subject, label })),
    },
    text: details([
      ...detailsOf(account),
      ["password", yesNo(password !== undefined)],
      ["authenticator app", yesNo(totp)],
      ["passkeys", `${passkeys}`],
      ["recovery codes", `${recoveryCodes}`],
      ...identities.map(({ issuer, label }) => ["signs in at", label === "" ? issuer : `${issuer} (${label})`] as const),
    ]),
  };
}

function stateOf({ disabledAt, deleteAt, emailVerified }: Account): string {
  if (disabledAt !== undefined) return "disabled";
  if (deleteAt !== undefined) return "to be deleted";
  return emailVerified ? "active" : "unverified";
}
