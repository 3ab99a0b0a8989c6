import type { Context } from "koa";
import { cookieAttributes, cookieName } from "../http/cookies.ts";

/** The cookie that tells a browser that has signed in before from a stranger's. It is signed by what is in it. */
export interface DeviceCookie {
  read(ctx: Context): string | undefined;
  /** @param device from a sign-in or `KnownDevices.remember`; `maxAge` in seconds */
  write(ctx: Context, device: { value: string; maxAge: number }): void;
}

export function createDeviceCookie(https: boolean): DeviceCookie {
  const name = cookieName("grantor_device", { https });
  const attributes = { ...cookieAttributes({ https }), signed: false };
  return {
    read: (ctx) => ctx.cookies.get(name, { signed: false }),
    write: (ctx, { value, maxAge }) => void ctx.cookies.set(name, value, { ...attributes, maxAge: maxAge * 1000 }),
  };
}
