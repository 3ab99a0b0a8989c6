import { createHmac, timingSafeEqual } from "node:crypto";

const STATE = /^([\w-]{10,64})\.([\w-]{43})$/;

/**
 * The uid of a sign-in in progress, carried through pages that its cookie does not reach (it is bound to `/interaction/:uid`). Signed, so that
 * nobody makes our pages lead to a place of theirs. It opens nothing: the interaction still asks for its cookie.
 */
export interface InteractionState {
  sign(uid: string): string;
  /** The uid, or `undefined` for anything that we did not sign. */
  open(state: string | undefined): string | undefined;
}

/** @param keys the first signs, all are accepted */
export function createInteractionState(keys: readonly Buffer[]): InteractionState {
  const [signingKey] = keys;
  if (signingKey === undefined) throw new TypeError("interaction state needs a key");
  const mac = (key: Buffer, uid: string) => createHmac("sha256", key).update(uid).digest();
  return {
    sign: (uid) => `${uid}.${mac(signingKey, uid).toString("base64url")}`,
    open(state) {
      const [, uid = "", signature = ""] = STATE.exec(state ?? "") ?? [];
      if (uid === "") return undefined;
      const given = Buffer.from(signature, "base64url");
      return keys.some((key) => timingSafeEqual(mac(key, uid), given)) ? uid : undefined;
    },
  };
}
