import { describe, expect, test } from "vitest";
import { accessTokenLife, type ClientLifetimes, refreshTokenLife, sessionLife } from "../../src/oidc/lifetimes.ts";

const DAY = 86_400;
const NOW = Math.floor(Date.now() / 1000);
const SETTINGS = {
  accessToken: 900,
  refreshToken: 30 * DAY,
  refreshTokenMaxAge: 90 * DAY,
  session: 14 * DAY,
  browserSession: DAY / 2,
  sessionMaxAge: 30 * DAY,
  grant: 32 * DAY,
};

describe("a session", () => {
  test("lives for its sliding life, and never beyond what it may live since the sign-in", () => {
    const life = (loginTs: number) => sessionLife(SETTINGS, { accountId: "a", loginTs }, NOW);
    expect(life(NOW)).toBe(14 * DAY);
    expect(life(NOW - 16 * DAY)).toBe(14 * DAY);
    expect(life(NOW - 20 * DAY)).toBe(10 * DAY);
    expect(life(NOW - 30 * DAY)).toBe(1); // the engine takes no zero
    expect(life(NOW - 31 * DAY)).toBe(1);
  });

  test("that ends with the browser lives for a shorter one", () => {
    const life = (loginTs: number, settings = SETTINGS) => sessionLife(settings, { accountId: "a", loginTs, transient: true }, NOW);
    expect(life(NOW)).toBe(DAY / 2);
    expect(life(NOW - 30 * DAY + 60)).toBe(60);
    expect(life(NOW, { ...SETTINGS, session: 60 })).toBe(60); // never for longer than one that is kept
  });

  test("in which nobody signed in lives for an hour, or less", () => {
    expect(sessionLife(SETTINGS, {}, NOW)).toBe(3_600);
    expect(sessionLife({ ...SETTINGS, session: 60 }, {}, NOW)).toBe(60);
  });
});

describe("a refresh token", () => {
  test("lives for its sliding life, and never beyond its family's", () => {
    expect(refreshTokenLife(SETTINGS, {}, NOW, NOW)).toBe(30 * DAY);
    expect(refreshTokenLife(SETTINGS, {}, NOW - 70 * DAY, NOW)).toBe(20 * DAY);
  });

  test("follows its client", () => {
    expect(refreshTokenLife(SETTINGS, { refresh_token_ttl: 60 }, NOW, NOW)).toBe(60);
    expect(refreshTokenLife(SETTINGS, { refresh_token_max_age: DAY }, NOW - 1, NOW)).toBe(DAY - 1);
    expect(refreshTokenLife(SETTINGS, { refresh_token_ttl: 365 * DAY, refresh_token_max_age: 1000 * DAY }, NOW, NOW)).toBe(365 * DAY);
  });

  test("is shorter where its client wants it so, never longer", () => {
    expect(refreshTokenLife(SETTINGS, { refresh_token_max_ttl: DAY }, NOW, NOW)).toBe(DAY);
    expect(refreshTokenLife(SETTINGS, { refresh_token_max_ttl: 365 * DAY }, NOW, NOW)).toBe(30 * DAY);
    expect(refreshTokenLife(SETTINGS, { refresh_token_max_ttl: DAY, refresh_token_ttl: 60 }, NOW, NOW)).toBe(60);
  });

  test("is refused when its family is over because an operator lowered the limit", () => {
    expect(() => refreshTokenLife(SETTINGS, { refresh_token_max_age: 60 }, NOW - 60, NOW)).toThrow(
      expect.objectContaining({ error: "invalid_grant" }),
    );
  });
});

describe("an access token", () => {
  interface Given {
    client?: ClientLifetimes & { refreshes?: boolean };
    entities?: Record<string, unknown>;
    /** Seconds from now. */
    session?: number | undefined;
    resource?: number;
  }
  const asked: string[] = [];
  const life = ({ client: { refreshes = true, ...own } = {}, entities = {}, session, resource }: Given) => {
    const client = { ...own, grantTypeAllowed: () => refreshes };
    return accessTokenLife(SETTINGS, { oidc: { client, entities } } as never, resource, async (uid) => {
      asked.push(uid);
      return session === undefined ? undefined : NOW + session;
    });
  };
  const code = { authTime: NOW };

  test("lives as long as the setting says, or the shorter of client and resource", async () => {
    expect(await life({})).toBe(900);
    expect(await life({ client: { access_token_ttl: 3_600 } })).toBe(3_600);
    expect(await life({ resource: 7_200 })).toBe(7_200);
    expect(await life({ client: { access_token_ttl: 3_600 }, resource: 60 })).toBe(60);
    expect(await life({ client: { access_token_ttl: 30 }, resource: 60 })).toBe(30);
  });

  test("is shorter where its client wants it so, never longer", async () => {
    expect(await life({ client: { access_token_max_ttl: 60 } })).toBe(60);
    expect(await life({ client: { access_token_max_ttl: 60 }, resource: 7_200 })).toBe(60);
    expect(await life({ client: { access_token_max_ttl: 7_200 } })).toBe(900);
    expect(await life({ client: { access_token_max_ttl: 7_200, access_token_ttl: 30 } })).toBe(30);
  });

  test("does not outlive its refresh family", async () => {
    const client = { refresh_token_max_age: 300 };
    expect(await life({ client, entities: { AuthorizationCode: code } })).toBe(300);
    expect(await life({ client, entities: { DeviceCode: code } })).toBe(300);
    expect(await life({ client: { ...client, refreshes: false }, entities: { AuthorizationCode: code } })).toBe(900);
    const left = await life({ client, entities: { RefreshToken: { ...code, iiat: NOW - 200 } } });
    expect(left).toBeGreaterThan(90);
    expect(left).toBeLessThanOrEqual(100);
    expect(await life({ client, entities: { RefreshToken: { ...code, iiat: NOW - 400 } } })).toBe(1);
  });

  test("does not outlive the session that it is bound to, which is asked only near its end", async () => {
    const bound = { expiresWithSession: true, sessionUid: "uid" };
    asked.length = 0;
    expect(await life({ entities: { AuthorizationCode: { ...code, ...bound } } })).toBe(900);
    expect(await life({ entities: { RefreshToken: { ...code, ...bound, iiat: NOW - 0.4 * DAY } } })).toBe(900);
    expect(
      await life({ entities: { RefreshToken: { ...code, authTime: 0, expiresWithSession: false, sessionUid: "uid", iiat: 0 } } }),
    ).toBe(1);
    expect(asked).toEqual([]);
    // The session may have lain unused since the sign-in, or be at the end of what it may live in all.
    for (const token of [
      { iiat: NOW - 13.9 * DAY, authTime: NOW - 13.9 * DAY },
      { iiat: NOW - 0.45 * DAY, authTime: NOW - 0.45 * DAY }, // one that ends with the browser may be over by then
      { iiat: NOW - DAY, authTime: NOW - 30 * DAY + 600 },
    ]) {
      const soon = await life({ entities: { RefreshToken: { ...token, ...bound } }, session: 500 });
      expect(soon).toBeGreaterThan(490);
      expect(soon).toBeLessThanOrEqual(500);
      expect(await life({ entities: { RefreshToken: { ...token, ...bound } }, session: 5_000 })).toBe(900); // it was used since
      for (const session of [undefined, 0])
        await expect(life({ entities: { RefreshToken: { ...token, ...bound } }, session })).rejects.toMatchObject({
          error: "invalid_grant",
        });
    }
    expect(new Set(asked)).toEqual(new Set(["uid"]));
  });
});
