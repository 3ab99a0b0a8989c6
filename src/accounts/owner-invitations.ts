/**
 * Invitations to look after an application together: a link that is mailed to an address, works once, and for whoever is signed in with that
 * address alone. Who invites is held to it: without them the link is void.
 */
import { randomUUID } from "node:crypto";
import { text } from "../i18n/messages.ts";
import type { Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { Prisma, PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";
import { AccountError, refuseFaults } from "./account-error.ts";
import { ownerInvitationMail } from "./application-mails.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import type { OneTimeTokens } from "./one-time-tokens.ts";
import type { Origin } from "./security-notices.ts";
import type { Throttle } from "./throttle.ts";

const PURPOSE = "share-application";
const DAYS = 7;
/** Of one application at a time. */
const MOST = 20;

export interface OwnerInvitation {
  /** Names it; opens nothing. */
  readonly id: string;
  readonly clientId: string;
  /** Normalised. */
  readonly email: string;
  /** Account id of who invites. */
  readonly by: string;
  readonly expiresAt: Date;
}

export interface OwnerInvitations {
  /**
   * Mails a link; whether somebody has the address does not show. A further one to the same address takes the place of the former.
   * @throws AccountError `invalid_input`, `too_many_attempts`, `unavailable`
   */
  send(by: Account, clientId: string, email: string, origin: Origin): Promise<OwnerInvitation>;
  /** Those that wait for an answer, by people who are among `inviters`; the oldest first. */
  pending(clientId: string, inviters: readonly string[]): Promise<OwnerInvitation[]>;
  /** @returns whether it was there */
  withdraw(clientId: string, id: string): Promise<boolean>;
  /** What a live link is for; it stays live. */
  describe(token: string): Promise<OwnerInvitation | undefined>;
  /** Uses a link up, once however many try, together with what else the transaction does. @throws AccountError `link_invalid` when somebody did so before */
  take(token: string, within: Prisma.TransactionClient): Promise<void>;
}

interface Row {
  accountId?: string | null | undefined;
  data: unknown;
  expiresAt: Date;
}

const fromRow = ({ accountId, data, expiresAt }: Row): OwnerInvitation => {
  const { id, clientId, email } = data as { id: string; clientId: string; email: string };
  return { id, clientId, email, by: accountId ?? "", expiresAt };
};

export function createOwnerInvitations(options: {
  prisma: PrismaClient;
  tokens: OneTimeTokens;
  throttle: Pick<Throttle, "require">;
  mailer: Mailer;
  letterhead: Letterhead;
  /** Milliseconds since the epoch. */
  now?: () => number;
}): OwnerInvitations {
  const { prisma, tokens, throttle, mailer, letterhead, now = Date.now } = options;
  const live = (where: Prisma.OneTimeTokenWhereInput): Prisma.OneTimeTokenWhereInput => ({
    ...where,
    purpose: PURPOSE,
    usedAt: null,
    expiresAt: { gt: new Date(now()) },
  });
  const about = (clientId: string) => ({ path: ["clientId"], equals: clientId });
  const spend = (where: Prisma.OneTimeTokenWhereInput) =>
    prisma.oneTimeToken.updateMany({ where: live(where), data: { usedAt: new Date(now()) } });

  async function pending(clientId: string, inviters: readonly string[]): Promise<OwnerInvitation[]> {
    const where = live({ accountId: { in: [...inviters] }, data: about(clientId) });
    const rows = await prisma.oneTimeToken.findMany({ where, orderBy: { createdAt: "asc" }, take: MOST });
    return rows.map(fromRow);
  }

  return {
    pending,

    async send(by, clientId, typed, { address, language }) {
      const email = normalizeEmail(typed);
      refuseFaults(checkEmail(email));
      await throttle.require("owner-invitation", { email: by.email });
      await throttle.require("mail", { email, ...(address === undefined ? {} : { address }) });
      await throttle.require("mailbox", { email });
      const waiting = await pending(clientId, [by.id]);
      if (waiting.length >= MOST && waiting.every((each) => each.email !== email))
        refuseFaults([{ field: "email", message: text("app-care:owners.too_many", { count: MOST }) }]);
      await spend({ accountId: by.id, AND: [{ data: about(clientId) }, { data: { path: ["email"], equals: email } }] });
      const data = { id: randomUUID(), clientId, email };
      const token = await tokens.issue(PURPOSE, { ttl: DAYS * 86_400, accountId: by.id, data });
      mailer.send(ownerInvitationMail(letterhead, email, language, { by: by.email, token, days: DAYS }));
      return { ...data, by: by.id, expiresAt: new Date(now() + DAYS * 86_400_000) };
    },

    async withdraw(clientId, id) {
      return (await spend({ AND: [{ data: about(clientId) }, { data: { path: ["id"], equals: id } }] })).count > 0;
    },

    async describe(token) {
      const found = await tokens.peek(PURPOSE, token);
      return found && fromRow(found);
    },

    async take(token, within) {
      if ((await tokens.take(PURPOSE, token, within)) === undefined) return deadInvitation();
    },
  };
}

/** @throws AccountError always: what a link says that was used, withdrawn or is too old */
export function deadInvitation(): never {
  throw new AccountError("link_invalid", text("app-care:invitation.dead"));
}
