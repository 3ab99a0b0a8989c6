/**
 * What follows when a factor of a sign-in was right, whichever it was. What was shown so far lies with the interaction, on the server: no form
 * and no cookie says it, and it is looked at again at every step.
 */
import type { Context } from "koa";
import type { Provider } from "oidc-provider";
import { type Account, isUsable } from "../accounts/account.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { KnownDevices } from "../accounts/known-devices.ts";
import { type Acr, type Amr, acrOf, reaches, requiredAcr, TWO_FACTOR_ACR, withSecondFactor } from "../factors/assurance.ts";
import { type AccountFactors, type Factors, hasSecondFactor } from "../factors/factors.ts";
import { STEP_UP } from "../oidc/interaction-policy.ts";
import { type Interaction, type Steps, seeOther } from "./steps.ts";

/** Seconds between the first factor and the second: what is shown together was shown at one time. */
const SECOND_STEP_TTL = 900;

/** What somebody has shown so far. */
export interface Proven {
  readonly account: Account;
  /** RFC 8176, all that was done. */
  readonly amr: readonly string[];
  /** "Keep me signed in". */
  readonly keep: boolean;
}

/** A sign-in that has its first factor and needs another. */
export interface Pending extends Proven {
  readonly factors: AccountFactors;
  /** What it has to reach. */
  readonly required: Acr;
  /** When the person signed in, where a session is only made surer; seconds since the epoch. */
  readonly since?: number | undefined;
}

export interface SignIns {
  /** Goes on to whatever is still missing, a second factor or its set-up, or ends the sign-in. Answers with a 303. */
  proceed(ctx: Context, interaction: Interaction, proven: Proven): Promise<void>;
  /** What a second step stands on: a first factor in this interaction, or the session that is to be made surer. */
  pending(ctx: Context, interaction: Interaction): Promise<Pending | undefined>;
  /** Ends a sign-in whose second factor was right. @returns where the browser goes on */
  complete(ctx: Context, interaction: Interaction, pending: Pending, ...factor: Amr[]): Promise<string>;
  /** Whether giving up now leaves unmet what the application, or a role of the person, demands. */
  isUnmet(ctx: Context, interaction: Interaction): Promise<boolean>;
}

export interface SignInOptions {
  provider(): Provider;
  steps: Steps;
  accounts: Pick<AccountStore, "find">;
  factors: Pick<Factors, "of">;
  devices: Pick<KnownDevices, "remember">;
  deviceCookie: DeviceCookie;
  /** Told of every sign-in that has ended well. */
  onSignedIn(ctx: Context, signIn: { accountId: string; clientId: string; amr: readonly string[] }): void;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** Kept with the interaction as `lastSubmission.signIn`. */
interface Held {
  readonly accountId: string;
  readonly amr: readonly string[];
  readonly keep: boolean;
  /** Seconds since the epoch. */
  readonly at: number;
  /** When the password was chosen that was shown, in milliseconds since the epoch: another counts no more. */
  readonly passwordOf?: number | undefined;
}

/** Whether an account has what a sign-in needs to reach what is required. */
export const canReach = ({ factors, required }: Pick<Pending, "factors" | "required">): boolean =>
  factors.passkeys > 0 || (factors.totp && reaches(TWO_FACTOR_ACR, required));

/** Where the second step of an interaction is asked for. */
export const secondStepOf = ({ uid }: Interaction): string => `/interaction/${uid}/second-factor`;

export function createSignIns(options: SignInOptions): SignIns {
  const { provider, steps, accounts, factors, devices, deviceCookie, now = Date.now } = options;
  const seconds = () => Math.floor(now() / 1000);

  async function requiredOf(interaction: Interaction, account: Account): Promise<Acr> {
    const client = await steps.clientOf(interaction);
    const secondFactor = client.require_second_factor === true || account.requiresSecondFactor;
    return requiredAcr({ asked: interaction.params.acr_values, secondFactor });
  }

  async function usable(accountId: string): Promise<Account | undefined> {
    const account = await accounts.find(accountId);
    return account !== undefined && isUsable(account) && account.emailVerified ? account : undefined;
  }

  async function settle(ctx: Context, interaction: Interaction, { account, amr, keep, since }: Omit<Pending, "factors" | "required">) {
    deviceCookie.write(ctx, devices.remember(account.email, deviceCookie.read(ctx)));
    options.onSignedIn(ctx, { accountId: account.id, clientId: interaction.params.client_id as string, amr });
    const login = { accountId: account.id, amr: [...amr], acr: acrOf(amr), remember: keep, ts: since ?? seconds() };
    return steps.settle(ctx, { login, signIn: undefined });
  }

  async function fromInteraction(interaction: Interaction, held: Held): Promise<Pending | undefined> {
    const account = await usable(held.accountId);
    if (account === undefined || held.at + SECOND_STEP_TTL < seconds()) return undefined;
    const found = await factors.of(account.id);
    if (held.passwordOf !== found.password?.changedAt.getTime() && held.amr.includes("pwd")) return undefined;
    return { account, amr: held.amr, keep: held.keep, factors: found, required: await requiredOf(interaction, account) };
  }

  async function fromSession(ctx: Context, interaction: Interaction): Promise<Pending | undefined> {
    const session = (await provider().Session.get(ctx as never)) as unknown as LiveSession;
    const account = session.accountId === undefined ? undefined : await usable(session.accountId);
    if (account === undefined || session.uid !== interaction.session?.uid) return undefined;
    const pending = { account, amr: session.amr ?? ["pwd"], keep: session.transient !== true, since: session.loginTs };
    return { ...pending, factors: await factors.of(account.id), required: await requiredOf(interaction, account) };
  }

  const heldIn = (interaction: Interaction) => interaction.lastSubmission?.signIn as Held | undefined;

  async function pending(ctx: Context, interaction: Interaction): Promise<Pending | undefined> {
    const held = heldIn(interaction);
    if (held !== undefined) return fromInteraction(interaction, held);
    const { name, reasons } = interaction.prompt;
    const isStepUp = name === "login" && reasons.every((reason) => reason === STEP_UP);
    const found = isStepUp ? await fromSession(ctx, interaction) : undefined;
    // Setting up what is missing needs a first factor that was shown just now.
    return found !== undefined && canReach(found) ? found : undefined;
  }

  return {
    pending,
    async proceed(ctx, interaction, proven) {
      const { account, amr, keep } = proven;
      const found = await factors.of(account.id);
      const isDone = amr.includes("mfa") || !hasSecondFactor(found);
      if (isDone && reaches(acrOf(amr), await requiredOf(interaction, account)))
        return seeOther(ctx, await settle(ctx, interaction, proven));
      const passwordOf = amr.includes("pwd") ? found.password?.changedAt.getTime() : undefined;
      const signIn: Held = { accountId: account.id, amr, keep, at: seconds(), passwordOf };
      interaction.lastSubmission = { ...interaction.lastSubmission, signIn };
      await interaction.persist();
      seeOther(ctx, secondStepOf(interaction));
    },
    complete: (ctx, interaction, done, ...factor) => settle(ctx, interaction, { ...done, amr: withSecondFactor(done.amr, ...factor) }),
    async isUnmet(ctx, interaction) {
      if (interaction.prompt.reasons.includes(STEP_UP)) return true;
      const held = await pending(ctx, interaction);
      return held !== undefined && !reaches(acrOf(held.amr), held.required);
    },
  };
}

/** Of the engine's session, beyond its published type. */
interface LiveSession {
  readonly uid: string;
  readonly accountId?: string;
  readonly amr?: string[];
  readonly loginTs?: number;
  readonly transient?: boolean;
}
