/** Keys rotated on the command line beside a server of two workers: what clients and resource servers see. */
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { grantor as command, grantorJson } from "../support/command-line.ts";
import {
  type Grantor,
  introspect,
  type Person,
  post,
  type SeededClient,
  signIn,
  startGrantor,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";
import { passKeyTime } from "../support/key-times.ts";
import { ask } from "../support/server-control.ts";
import { type Stores, stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

const HOUR = 3600;
/** Requests at once, each on a connection of its own: both workers have answered some. */
const ENOUGH = 8;

interface Listed {
  kid: string;
  alg: string;
  state: string;
  next_state?: string;
  next_state_at?: number;
}
interface Result {
  alg: string;
  outcome: string;
  kid: string;
  previous_kid: string;
  at?: number;
}

describe.each(stores)("signing keys, rotated beside two workers on $name", ({ open }) => {
  let backing: Stores;
  let grantor: Grantor;
  let client: SeededClient;
  let robot: SeededClient;
  let person: Person;

  beforeAll(async () => {
    backing = await open();
    grantor = await startGrantor(backing, { WORKERS: "2" });
    client = await grantor.client({ metadata: { scope: "openid" } });
    robot = await grantor.client({ type: "service" });
    person = await grantor.person();
  });
  afterAll(async () => {
    await grantor?.[Symbol.asyncDispose]();
    await backing?.close();
  });

  const list = async () => (await grantorJson<{ keys: Listed[] }>(grantor.server.env, ["keys", "list"])).keys;
  const rotate = async (...args: string[]) => (await grantorJson<{ keys: Result[] }>(grantor.server.env, ["keys", "rotate", ...args])).keys;
  const key = async (state: string, alg = "RS256") => (await list()).find((each) => each.state === state && each.alg === alg) as Listed;
  const tokens = async (): Promise<Tokens> => (await signIn(grantor, client, person)).tokens;
  const kidOf = (jwt: string | undefined) => decodeProtectedHeader(jwt as string).kid;
  const get = (path: string) => fetch(`${grantor.url}${path}`, { headers: { Connection: "close" } });
  const jwks = async () => (await (await get("/.well-known/jwks.json")).json()) as JSONWebKeySet;
  const published = async () => (await jwks()).keys.map(({ kid }) => kid);
  const verifies = async (token: string) =>
    jwtVerify(token, createLocalJWKSet(await jwks()), { issuer: grantor.url, typ: "at+jwt" }).then(
      () => true,
      () => false,
    );
  const everywhere = async (look: () => Promise<boolean>) => (await Promise.all(Array.from({ length: ENOUGH }, look))).every(Boolean);
  /** By whatever worker answers. */
  const kidInUse = async () => {
    const response = await post(`${grantor.url}/oauth/token`, robot, { grant_type: "client_credentials" });
    return kidOf(((await response.json()) as Tokens).access_token);
  };
  const logout = (hint: string) => get(`/oauth/logout?${new URLSearchParams({ id_token_hint: hint })}`);
  const audited = async (event: string, kid: string) =>
    ask(backing.databaseUrl, "SELECT coalesce(actor, 'nobody') FROM audit_event WHERE event = $1 AND detail->>'kid' = $2", [event, kid]);

  it("a next key is published from the start, and says when it will sign", async () => {
    const { kid } = await key("next");
    expect(await published()).toContain(kid);
    expect(await key("next")).toMatchObject({ next_state: "current", next_state_at: (await key("current")).next_state_at });
    expect(await key("current")).toMatchObject({ next_state: "retired" });
    const text = (await command(grantor.server.env, ["keys", "list"])).stdout;
    expect(text).toMatch(/^KID +ALG +STATE +PUBLISHED +SIGNS SINCE +UNTIL +THEN$/m);
    expect(text).toMatch(new RegExp(`^${kid} +RS256 +next .* signs 20\\d\\d-`, "m"));
  });

  it("rotate: the next key signs once it has been published for long enough; what the earlier one signed goes on", async () => {
    const [old, successor] = [await key("current"), await key("next")];
    const before = await tokens();
    expect(kidOf(before.access_token)).toBe(old.kid);

    const [scheduled] = (await rotate("--alg", "RS256")) as [Result];
    expect(scheduled).toMatchObject({ outcome: "scheduled", kid: successor.kid, previous_kid: old.kid });
    expect(scheduled.at).toBe((await key("next")).next_state_at);
    expect(scheduled.at).toBeLessThanOrEqual(Date.now() / 1000 + HOUR);
    expect(await kidInUse()).toBe(old.kid);
    expect((await command(grantor.server.env, ["keys", "rotate", "--alg", "RS256"])).stdout).toContain("takes over");

    await passKeyTime(grantor.services.database, HOUR);
    await waitFor("both workers to sign with the next key", () => everywhere(async () => (await kidInUse()) === successor.kid));
    const after = await tokens();
    expect([kidOf(after.access_token), kidOf(after.id_token)]).toEqual([successor.kid, successor.kid]);
    expect(await everywhere(async () => (await published())[0] === successor.kid && (await published()).includes(old.kid))).toBe(true);
    expect(await verifies(before.access_token)).toBe(true);
    expect(await verifies(after.access_token)).toBe(true);
    expect(await everywhere(async () => (await userinfo(grantor, before.access_token)).status === 200)).toBe(true);
    expect(await introspect(grantor, client, before.access_token)).toMatchObject({ active: true });
    expect((await logout(before.id_token as string)).status).toBe(200);
    expect((await key("current", "ES256")).next_state).toBe("retired");
    expect(await key("retired", "ES256")).toBeUndefined();
    await waitFor("the audit records", async () => (await audited("key.rotated", successor.kid)) === "nobody");
    expect(await audited("key.rotation_scheduled", old.kid)).toBe("operator");

    // Everything that it signed has expired; only an ID token may still come back, as a hint.
    await passKeyTime(grantor.services.database, HOUR * 2);
    await waitFor("the retired key to leave", () => everywhere(async () => !(await published()).includes(old.kid)));
    expect(await key("expired")).toMatchObject({ kid: old.kid });
    expect((await logout(before.id_token as string)).status).toBe(200);
  });

  it("rotate, when the next keys have been published for long enough: all at once", async () => {
    const before = await list();
    const next = before.filter(({ state }) => state === "next");
    await passKeyTime(grantor.services.database, HOUR);
    const results = await rotate();
    expect(results.map(({ outcome }) => outcome)).toEqual(["replaced", "replaced", "replaced", "replaced"]);
    expect(new Set(results.map(({ kid }) => kid))).toEqual(new Set(next.map(({ kid }) => kid)));
    expect(results.map(({ previous_kid }) => before.find(({ kid }) => kid === previous_kid)?.state)).toEqual(results.map(() => "current"));
  });

  it("rotate --now: what the compromised key signed is worth nothing at once, and everything else goes on", async () => {
    const [old, successor] = [await key("current"), await key("next")];
    await waitFor("both workers to sign with it", () => everywhere(async () => (await kidInUse()) === old.kid));
    const before = await tokens();
    const { status, stdout, stderr } = await command(grantor.server.env, ["keys", "rotate", "--alg", "RS256", "--now"]);
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: `RS256: ${old.kid} is revoked, with everything that it signed; ${successor.kid} signs.\n`,
    });
    expect(stderr).toContain("published only a moment ago");

    await waitFor("both workers to refuse its tokens", () =>
      everywhere(async () => (await userinfo(grantor, before.access_token)).status === 401),
    );
    await waitFor("both workers to sign with the successor", () =>
      everywhere(async () => (await kidInUse()) === successor.kid && !(await published()).includes(old.kid)),
    );
    expect(await everywhere(async () => (await introspect(grantor, client, before.access_token)).active === false)).toBe(true);
    expect(await verifies(before.access_token)).toBe(false);
    const after = await tokens();
    expect(await verifies(after.access_token)).toBe(true);
    expect((await userinfo(grantor, after.access_token)).status).toBe(200);
    const refused = await logout(before.id_token as string);
    expect(refused.status).toBe(400);
    expect(await key("revoked")).toMatchObject({ kid: old.kid });
    expect((await key("next")).kid).not.toBe(successor.kid);
    expect(await audited("key.revoked", old.kid)).toBe("operator");

    const inspected = await grantorJson<{ key: object }>(grantor.server.env, ["token", "inspect", before.access_token]);
    expect(inspected.key).toMatchObject({ kid: old.kid, state: "revoked" });
    const [again] = (await rotate("--kid", old.kid, "--now")) as [Result];
    expect(again).toMatchObject({ outcome: "revoked", previous_kid: old.kid, kid: successor.kid });
  });

  it("wrong use is said in words", async () => {
    for (const [args, status, words] of [
      [["--alg", "HS256"], 2, "Allowed choices are RS256, ES256, PS256, EdDSA"],
      [["--alg", "RS256", "--kid", "x"], 2, "cannot be used with option"],
      [["--kid", "none"], 1, 'There is no signing key "none".'],
      [["--kid", (await key("next")).kid], 1, "does not sign: it is next"],
    ] as const) {
      const outcome = await command(grantor.server.env, ["keys", "rotate", ...args]);
      expect(outcome.status).toBe(status);
      expect(outcome.stderr).toContain(words);
    }
    const stranger = { ...grantor.server.env, SECRET_KEY: "another secret than that of the servers" };
    const outcome = await command(stranger, ["keys", "rotate", "--now"]);
    expect(outcome).toMatchObject({ status: 1, stdout: "" });
    expect(outcome.stderr).toContain("SECRET_KEY");
  });
});
