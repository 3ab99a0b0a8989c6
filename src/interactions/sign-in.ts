/**
 * What follows when a factor of a sign-in was right, whichever it was. What was shown so far lies with the interaction, on the server: no form
 * and no cookie says it, and it is looked at again at every step.
 */
import type { Context } from "koa";
import type { Provider } from "oidc-provider";
import type { Account } from "../accounts/account.ts";
import type { AccountStore } from "../accounts/account-store.ts";
import type { DeviceCookie } from "../accounts/device-cookie-middleware.ts";
import type { KnownDevices } from "../accounts/known-devices.ts";
import { type Acr, type Amr, acrOf, reaches, requiredAcr, TWO_FACTOR_ACR, withSecondFactor } from "../factors/assurance.ts";
import { type AccountFactors, type Factors, lacksSecondFactor, type Shown } from "../factors/factors.ts";
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
  readonly shown?: Shown | undefined;
}

/** A sign-in that has its first factor and needs another. */
export interface Pending extends Proven {
  readonly factors: AccountFactors;
  /** What it has to reach. */
  readonly required: Acr;
  /** When the person signed in, where a session is only made surer; seconds since the epoch. */
  readonly since?: number | undefined;
}

/** A sign-in that lacks nothing. */
type Done = Omit<Pending, "factors" | "required">;

export interface SignIns {
  /** Goes on to whatever is still missing, a second factor or its set-up, or ends the sign-in. Answers with a 303. */
  proceed(ctx: Context, interaction: Interaction, proven: Proven): Promise<void>;
  /** What a second step stands on: a first factor in this interaction, or the session that is to be made surer. */
  pending(ctx: Context, interaction: Interaction): Promise<Pending | undefined>;
  /**
   * Who has shown all that was asked for, and was not signed in since the account is going to be deleted (deletion-routes.ts); with the
   * account as it is now.
   */
  doomed(interaction: Interaction): Promise<Pending | undefined>;
  /** Ends such a sign-in, when the account stays. @returns where the browser goes on */
  resume(ctx: Context, interaction: Interaction, doomed: Pending): Promise<string>;
  /** Ends a sign-in whose second factor was right. @returns where the browser goes on */
  complete(ctx: Context, interaction: Interaction, pending: Pending, second: { amr: readonly Amr[]; shown?: Shown }): Promise<string>;
  /** Whether giving up now leaves unmet what the application, or a role of the person, demands. */
  isUnmet(ctx: Context, interaction: Interaction): Promise<boolean>;
}

export interface SignInOptions {
  provider(): Provider;
  steps: Steps;
  accounts: Pick<AccountStore, "find">;
  factors: Pick<Factors, "of" | "stillHas">;
  devices: Pick<KnownDevices, "remember">;
  deviceCookie: DeviceCookie;
  /** Told of every sign-in that has ended well. */
  onSignedIn(ctx: Context, signIn: { accountId: string; clientId: string; amr: readonly string[] }): void;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

/** Kept with the interaction as `lastSubmission.signIn`, and as `doomed` when nothing is missing but the person's word on the deletion. */
interface Held {
  readonly accountId: string;
  readonly amr: readonly string[];
  readonly keep: boolean;
  /** Seconds since the epoch. */
  readonly at: number;
  readonly shown?: Shown | undefined;
  /** As in `Pending`. */
  readonly since?: number | undefined;
}

/** Whether an account has what a sign-in needs to reach what is required. */
export const canReach = ({ factors, required }: Pick<Pending, "factors" | "required">): boolean =>
  factors.passkeys > 0 || (factors.totp && reaches(TWO_FACTOR_ACR, required));

/** Where the second step of an interaction is asked for. */
export const secondStepOf = ({ uid }: Interaction): string => `/interaction/${uid}/second-factor`;

/** Where a sign-in to an account that is going to be deleted ends. */
export const deletionStepOf = ({ uid }: Interaction): string => `/interaction/${uid}/deletion`;

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
    // One that is going to be deleted is asked about that when all else is done.
    return account !== undefined && account.disabledAt === undefined && account.emailVerified ? account : undefined;
  }

  /** @returns what is kept of a sign-in that goes on in another step */
  const hold = ({ account, amr, keep, shown, since }: Done): Held => ({
    ...{ accountId: account.id, amr, keep, shown, since },
    at: seconds(),
  });

  async function keepWith(interaction: Interaction, held: { signIn: Held } | { signIn: undefined; doomed: Held }): Promise<void> {
    interaction.lastSubmission = { ...interaction.lastSubmission, ...held };
    await interaction.persist();
  }

  async function settle(ctx: Context, interaction: Interaction, done: Done): Promise<string> {
    const { account, amr, keep, shown, since } = done;
    if (account.deleteAt !== undefined) {
      await keepWith(interaction, { signIn: undefined, doomed: hold(done) });
      return deletionStepOf(interaction);
    }
    deviceCookie.write(ctx, devices.remember(account.email, deviceCookie.read(ctx)));
    options.onSignedIn(ctx, { accountId: account.id, clientId: interaction.params.client_id as string, amr });
    const login = { accountId: account.id, amr: [...amr], acr: acrOf(amr), remember: keep, ts: since ?? seconds(), shown };
    return steps.settle(ctx, { login, signIn: undefined, doomed: undefined });
  }

  async function fromInteraction(interaction: Interaction, held: Held): Promise<Pending | undefined> {
    const account = await usable(held.accountId);
    if (account === undefined || held.at + SECOND_STEP_TTL < seconds()) return undefined;
    const { amr, keep, shown, since } = held;
    if (shown !== undefined && !(await factors.stillHas(account.id, shown))) return undefined;
    const [found, required] = await Promise.all([factors.of(account.id), requiredOf(interaction, account)]);
    return { account, amr, keep, shown, since, factors: found, required };
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
      const { account, amr } = proven;
      const found = await factors.of(account.id);
      if (!lacksSecondFactor(amr, found) && reaches(acrOf(amr), await requiredOf(interaction, account)))
        return seeOther(ctx, await settle(ctx, interaction, proven));
      await keepWith(interaction, { signIn: hold(proven) });
      seeOther(ctx, secondStepOf(interaction));
    },
    async doomed(interaction) {
      const held = interaction.lastSubmission?.doomed as Held | undefined;
      return held === undefined ? undefined : fromInteraction(interaction, held);
    },
    resume: (ctx, interaction, doomed) => settle(ctx, interaction, doomed),
    complete: (ctx, interaction, done, { amr, shown }) =>
      settle(ctx, interaction, { ...done, amr: withSecondFactor(done.amr, ...amr), shown: { ...done.shown, ...shown } }),
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
