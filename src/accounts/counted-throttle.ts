import { AccountError } from "./account-error.ts";
import type { Throttle } from "./throttle.ts";

/** The same throttle, which also tells what it holds up: `sign-in`, `second-factor`, or the name of an allowance. */
export function countedThrottle(throttle: Throttle, onThrottled: (kind: string) => void): Throttle {
  async function counted<T>(kind: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof AccountError && error.code === "too_many_attempts") onThrottled(kind);
      throw error;
    }
  }
  return {
    beginSignIn: (who) => counted("sign-in", throttle.beginSignIn(who)),
    beginSecondFactor: (who) => counted("second-factor", throttle.beginSecondFactor(who)),
    beginUserCode: (address) => counted("user-code", throttle.beginUserCode(address)),
    beginPasskey: (address) => counted("passkey", throttle.beginPasskey(address)),
    async allows(what, subject) {
      const allowed = await throttle.allows(what, subject);
      if (!allowed) onThrottled(what);
      return allowed;
    },
    require: (what, subject) => counted(what, throttle.require(what, subject)),
  };
}
