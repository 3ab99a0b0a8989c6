import type { Language } from "../i18n/languages.ts";
import { text, type Words } from "../i18n/messages.ts";
import type { Letterhead } from "../mail/letter.ts";
import type { Mailer } from "../mail/mailer.ts";
import { AccountError, refuseFaults } from "./account-error.ts";
import { invitationMail } from "./account-mails.ts";
import { checkDetails, tidyName } from "./account-store.ts";
import { checkEmail, normalizeEmail } from "./email-address.ts";
import { hashToken, type OneTimeTokens } from "./one-time-tokens.ts";
import type { PasswordPolicy } from "./password-policy.ts";
import type { Passwords } from "./passwords.ts";
import type { Throttle } from "./throttle.ts";
import type { Pending, Verification } from "./verification.ts";

const INVITATION_DAYS = 7;
const DAY_SECONDS = 86_400;

export interface SignUpForm {
  readonly email: string;
  readonly password: string;
  readonly name?: string | undefined;
  /** The token of `account invite`; needed when SIGN_UP is `invite`. */
  readonly invitation?: string | undefined;
  /** The uid of the interaction from which the person came, taken from signed state. */
  readonly interaction?: string | undefined;
  /** A secret of this browser's: the password counts where the link is opened with it. */
  readonly browser: string;
  /** The client's network address. */
  readonly address: string;
  /** In which the person reads. */
  readonly language?: Language | undefined;
}

export interface SignUp {
  readonly policy: "open" | "invite" | "closed";
  /**
   * Whether somebody may see the form at all; with an invitation, the address that it is for.
   * @throws AccountError `sign_up_closed`, `link_invalid`
   */
  admit(invitation: string | undefined): Promise<{ email: string | undefined }>;
  /**
   * Begins an account. Whatever becomes of it, the answer is "check your mail", after the same work.
   * @returns the normalised address
   * @throws AccountError `invalid_input` with every fault, `sign_up_closed`, `link_invalid`, `too_many_attempts`, `busy`, `unavailable`
   */
  begin(form: SignUpForm): Promise<{ email: string }>;
  /** Invites the owner of an address; the link goes to them by mail and back to whoever invited. @throws AccountError */
  invite(email: string): Promise<{ email: string; link: string; expiresAt: Date }>;
}

/** @param now milliseconds since the epoch */
export function createSignUp(options: {
  policy: "open" | "invite" | "closed";
  verification: Verification;
  tokens: OneTimeTokens;
  passwords: Passwords;
  passwordPolicy: Pick<PasswordPolicy, "checkLength" | "check">;
  throttle: Throttle;
  mailer: Mailer;
  letterhead: Letterhead;
  now?: () => number;
}): SignUp {
  const { policy, verification, tokens, passwords, passwordPolicy, throttle, mailer, letterhead, now = Date.now } = options;

  async function admit(invitation: string | undefined): Promise<{ email: string | undefined }> {
    if (policy === "closed") throw closed(text("sign-up:closed"));
    if (policy === "open") return { email: undefined };
    if (invitation === undefined) throw closed(text("sign-up:needs_invitation"));
    const live = await tokens.peek("invitation", invitation);
    if (live === undefined) {
      throw new AccountError("link_invalid", text("sign-up:invitation_dead"));
    }
    return { email: String(live.data.email) };
  }

  return {
    policy,
    admit,
    async begin(form) {
      const { email: invited } = await admit(form.invitation);
      const email = normalizeEmail(form.email);
      const name = tidyName(form.name);
      const use = { standsAlone: true, about: [email, name] };
      const mismatch = invited !== undefined && invited !== email;
      refuseFaults([
        ...checkEmail(email),
        ...(mismatch ? [{ field: "email", message: text("faults:invitation_for", { email: invited }) }] : []),
        ...passwordPolicy.checkLength(form.password, use),
        ...checkDetails({ name }),
      ]);
      // What is plain to see costs nobody anything; estimates and hashes do.
      await throttle.require("sign-up", { address: form.address });
      refuseFaults(await passwordPolicy.check(form.password, use));
      // The hash is made in every case: an address that has an account takes as long as one that has none.
      const pending: Pending = {
        passwordHash: await passwords.hash(form.password),
        browser: hashToken(form.browser),
        ...(name === undefined ? {} : { name }),
        ...(form.language === undefined ? {} : { language: form.language }),
        ...(form.interaction === undefined ? {} : { interaction: form.interaction }),
        ...(invited === undefined || form.invitation === undefined ? {} : { invitation: hashToken(form.invitation) }),
      };
      await verification.begin(email, pending, form.address);
      return { email };
    },
    async invite(typed) {
      if (policy === "closed") throw closed('SIGN_UP is "closed": set it to "invite" or "open" first, or create the account yourself.');
      const email = normalizeEmail(typed);
      refuseFaults(checkEmail(email));
      const ttl = INVITATION_DAYS * DAY_SECONDS;
      const expiresAt = new Date(now() + ttl * 1000);
      const link = `${letterhead.issuer}/sign-up?invitation=${await tokens.issue("invitation", { ttl, data: { email } })}`;
      mailer.send(invitationMail(letterhead, email, undefined, link, INVITATION_DAYS));
      return { email, link, expiresAt };
    },
  };
}

function closed(message: Words): AccountError {
  return new AccountError("sign_up_closed", message);
}
