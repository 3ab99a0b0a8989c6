/** What may be a password: how long, how hard to guess, and none that is known already. NIST SP 800-63B-4 §3.1.1.2. */
import type { Config } from "../config.ts";
import { text } from "../i18n/messages.ts";
import type { Logger } from "../observability/logger.ts";
import type { Fault } from "./account-error.ts";
import { breachedPasswords, type IsBreached } from "./breached-passwords.ts";
import { createPasswordStrength, type Strength } from "./password-strength.ts";
import { MAX_UNITS } from "./passwords.ts";
import type { Throttle } from "./throttle.ts";

const MAX_LENGTH = 256;
/** zxcvbn's score of a password that has to stand alone: 10⁸ guesses or more, each of which is an argon2id hash to whoever stole ours. */
const SCORE_ALONE = 3;
/** And beside a second factor: 10⁶ or more, which no throttled guessing gets through. */
const SCORE_BESIDE = 2;
/** Characters of what is known about a person: as long as an address or a name can be. The time of an estimate grows with them. */
const LONGEST_KNOWN = 254;
/** Pieces of advice at once. */
const MAX_ADVICE = 2;

/** For whom a password is chosen. */
export interface PasswordUse {
  /** There is no second factor that is always asked for. */
  readonly standsAlone: boolean;
  /** What whoever guesses would try for this person: their address and name. */
  readonly about: readonly (string | undefined)[];
  /** The network address of whoever chooses, where nothing else limits how often they may: an estimate takes a while, and all wait for one thread. */
  readonly address?: string | undefined;
  /** The form's field that a fault is shown beside; without, `password`. */
  readonly field?: string;
}

export interface PasswordPolicy {
  /** Characters that one must have at least, for the hint in the form. */
  minimumLength(standsAlone: boolean): number;
  /** Whether one is long enough to be the only factor. */
  standsAlone(password: string): boolean;
  /** The faults that cost nothing to find. */
  checkLength(password: string, use: PasswordUse): Fault[];
  /** Faults of a new password; empty when it may be used. @throws AccountError `too_many_attempts` (429), `busy`, `unavailable` (503) */
  check(password: string, use: PasswordUse): Promise<Fault[]>;
  close(): Promise<void>;
}

/** @param brand ours, which people like to put into what they choose here  @param throttle without it, everybody chooses as often as they like */
export function createPasswordPolicy(
  rules: Config["password"],
  brand: string,
  log: Logger,
  throttle?: Pick<Throttle, "require">,
): PasswordPolicy {
  const strength = createPasswordStrength();
  const isBreached: IsBreached = rules.breachUrl === undefined ? async () => false : breachedPasswords(rules.breachUrl, log);
  const minimumLength = (alone: boolean) => (alone ? rules.minLength : rules.minLengthWithSecondFactor);

  function checkLength(password: string, { standsAlone: alone, field = "password" }: PasswordUse): Fault[] {
    const length = lengthOf(password);
    if (length > MAX_LENGTH) return [{ field, message: text("faults:password_long", { count: MAX_LENGTH }) }];
    const minimum = minimumLength(alone);
    return length < minimum ? [{ field, message: text("faults:password_short", { count: minimum }) }] : [];
  }

  return {
    minimumLength,
    standsAlone: (password) => lengthOf(password) >= rules.minLength,
    checkLength,
    async check(password, use) {
      const faults = checkLength(password, use);
      if (faults.length > 0) return faults;
      const { standsAlone: alone, about, address, field = "password" } = use;
      if (address !== undefined) await throttle?.require("new-password", { address });
      const known = [...about, brand].filter((words) => words !== undefined).map((words) => words.slice(0, LONGEST_KNOWN));
      const found = await strength.estimate({ password: password.normalize("NFKC"), about: known });
      if (found.common) return [{ field, message: text("passwords:common") }];
      if (found.score < (alone ? SCORE_ALONE : SCORE_BESIDE)) return [{ field, message: weak(found) }];
      return (await isBreached(password.normalize("NFKC"))) ? [{ field, message: text("passwords:breached") }] : [];
    },
    close: () => strength.close(),
  };
}

/** A character is a code point of the composed (NFC) form, so that the same word typed on two keyboards has one length. */
const lengthOf = (password: string): number => (password.length > MAX_UNITS ? MAX_UNITS : [...password.normalize("NFC")].length);

function weak({ why = "guessable", advice }: Strength) {
  const [first = "anotherWord", second] = advice.slice(0, MAX_ADVICE);
  const values = { why: text(`passwords:why.${why}`), first: text(`passwords:advice.${first}`) };
  return second === undefined
    ? text("passwords:weak", values)
    : text("passwords:weak_more", { ...values, second: text(`passwords:advice.${second}`) });
}
