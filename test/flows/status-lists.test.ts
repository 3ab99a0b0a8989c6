/** Token Status Lists (draft-ietf-oauth-status-list), as a resource server sees them that uses jose and somebody else's decoder. */
import { StatusList } from "@sd-jwt/jwt-status-list";
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import { beforeAll, expect, it } from "vitest";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, pkce, post, redeem, refresh, type SeededClient, signIn, type Tokens } from "../support/grantor.ts";

const AUDIENCE = "https://api.example/things";
const TTL = 10;
const OUTAGE = 300;

interface Reference {
  idx: number;
  uri: string;
}

const referenceOf = (token: string): Reference => (decodeJwt(token).status as { status_list: Reference }).status_list;

describeFlows("status lists", (flow) => {
  let service: SeededClient;
  beforeAll(async () => {
    await flow.grantor.resource(AUDIENCE, { scopes: [{ name: "things:read", description: "Read things" }] });
    service = await flow.grantor.client({ type: "service", metadata: { scope: "things:read" } });
  });

  const machineToken = async (): Promise<string> => {
    const answer = await post(`${flow.grantor.url}/oauth/token`, service, {
      grant_type: "client_credentials",
      resource: AUDIENCE,
      scope: "things:read",
    });
    expect(answer.status).toBe(200);
    return ((await answer.json()) as Tokens).access_token;
  };
  const revoke = async (client: SeededClient, token: string) =>
    expect((await post(`${flow.grantor.url}/oauth/revoke`, client, { token })).status).toBe(200);
  /** The bits of tokens that are in one list. */
  const read = async (...tokens: string[]): Promise<number[]> => {
    const { uri } = referenceOf(tokens[0] as string);
    expect(new Set(tokens.map((token) => referenceOf(token).uri))).toEqual(new Set([uri]));
    const jwks = createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(await (await fetch(uri)).text(), jwks, { typ: "statuslist+jwt", subject: uri, clockTolerance: 1 });
    const { bits, lst } = payload.status_list as { bits: 1; lst: string };
    const list = StatusList.decompressStatusList(lst, bits);
    return tokens.map((token) => list.getStatus(referenceOf(token).idx));
  };

  it("stand in the metadata and in every access token, each with a place of its own", async () => {
    const { url } = flow.grantor;
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const next = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    const all = [tokens.access_token, next.access_token, await machineToken(), await machineToken()].map(referenceOf);
    expect(new Set(all.map(({ idx }) => idx)).size).toBe(4);
    for (const { idx, uri } of all) {
      expect(Number.isInteger(idx) && idx >= 0 && idx < 2 ** 20).toBe(true);
      expect(uri).toMatch(new RegExp(`^${url}/oauth/status-lists/[A-Za-z0-9_-]{22}$`));
    }
    for (const document of ["openid-configuration", "oauth-authorization-server"]) {
      const metadata = (await (await fetch(`${url}/.well-known/${document}`)).json()) as Record<string, unknown>;
      expect(metadata.status_list_aggregation_endpoint).toBe(`${url}/oauth/status-lists`);
    }
    const lists = (await (await fetch(`${url}/oauth/status-lists`)).json()) as { status_lists: string[] };
    expect(Object.keys(lists)).toEqual(["status_lists"]);
    expect(lists.status_lists).toEqual(expect.arrayContaining(all.map(({ uri }) => uri)));
  });

  it("are signed with a key of the JWKS, at their full length, and say how long they may be used", async () => {
    const { uri } = referenceOf(await machineToken());
    const answer = await fetch(uri);
    expect(answer.headers.get("content-type")).toBe("application/statuslist+jwt");
    const jwt = await answer.text();
    const { keys } = (await (await fetch(`${flow.grantor.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string; alg: string }[] };
    const { alg, kid, typ } = decodeProtectedHeader(jwt);
    expect([typ, keys.find((key) => key.kid === kid)?.alg]).toEqual(["statuslist+jwt", alg]);
    const { iat, exp, ttl, sub, status_list, ...others } = decodeJwt(jwt);
    expect([sub, ttl, others]).toEqual([uri, TTL, {}]);
    expect((exp as number) - (iat as number)).toBe(TTL + OUTAGE);
    const { bits, lst } = status_list as { bits: 1; lst: string };
    expect(bits).toBe(1);
    expect(StatusList.decompressStatusList(lst, 1).statusList.length).toBe(2 ** 20);
  });

  it("say at once what was ended, and nothing about other tokens", async () => {
    const [revoked, other] = [await machineToken(), await machineToken()];
    expect(await read(revoked, other)).toEqual([0, 0]);
    await revoke(service, revoked);
    expect(await read(revoked, other)).toEqual([1, 0]);

    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { tokens, code, proof } = await signIn(flow.grantor, client, person);
    const next = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    const untouched = await signIn(flow.grantor, await flow.grantor.client(), person);
    const three = [tokens, next, untouched.tokens].map((each) => each.access_token);
    expect(await read(...three)).toEqual([0, 0, 0]);
    await revoke(client, tokens.access_token);
    expect(await read(...three)).toEqual([1, 0, 0]);
    expect((await redeem(flow.grantor, client, code, proof)).status).toBe(400); // the code again
    expect(await read(...three)).toEqual([1, 1, 0]);
  });

  it("say at sign-out that the tokens of every tab have ended, also of tabs that began at one application at once", async () => {
    const { url } = flow.grantor;
    const { agent } = await signIn(flow.grantor, await flow.grantor.client(), await flow.grantor.person());
    const client = await flow.grantor.client({ firstParty: true });
    const cookie = Object.entries(agent.cookiesFor(`${url}/`))
      .map(([name, value]) => `${name}=${value}`)
      .join("; ");
    const tokens = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const proof = pkce();
        let location = authorizationUrl(url, client, proof);
        while (!location.startsWith(client.redirect_uri))
          location = new URL((await fetch(location, { redirect: "manual", headers: { cookie } })).headers.get("location") as string, url)
            .href;
        const answer = await redeem(flow.grantor, client, new URL(location).searchParams.get("code") as string, proof);
        return ((await answer.json()) as Tokens).access_token;
      }),
    );
    expect(await read(...tokens)).toEqual([0, 0, 0, 0]);
    await agent.submit(await agent.open(`${url}/oauth/logout`), { logout: "yes" });
    expect(await read(...tokens)).toEqual([1, 1, 1, 1]);
  });

  it("are the same for all who ask until something changes or their time is over; caches do not add up", async () => {
    const token = await machineToken();
    const { uri } = referenceOf(token);
    const first = await fetch(uri);
    const jwt = await first.text();
    const [etag, { iat = 0 }] = [first.headers.get("etag") as string, decodeJwt(jwt)];
    const left = (answer: Response) => Number(/^public, max-age=(\d+)$/.exec(answer.headers.get("cache-control") ?? "")?.[1]);
    expect(left(first)).toBeLessThanOrEqual(TTL);
    await flow.later(4, async () => {
      const again = await fetch(uri, { headers: { "If-None-Match": etag } });
      expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
      expect(left(again)).toBeLessThanOrEqual(Math.max(0, iat + TTL - Math.floor(Date.now() / 1000) - 3)); // extends nothing
      expect(await (await fetch(uri)).text()).toBe(jwt);
    });
    await flow.later(TTL + 1, async () => {
      const renewed = await fetch(uri, { headers: { "If-None-Match": etag } });
      expect(renewed.status).toBe(200);
      expect(decodeJwt(await renewed.text()).iat).toBeGreaterThan(iat);
    });
    const before = (await fetch(uri)).headers.get("etag");
    await revoke(service, token);
    const changed = await fetch(uri, { headers: { "If-None-Match": before as string } });
    expect(changed.status).toBe(200);
  });

  it("are not there when nobody made them, and only to be read", async () => {
    const { url } = flow.grantor;
    const { uri } = referenceOf(await machineToken());
    for (const path of ["AAAAAAAAAAAAAAAAAAAAAA", "x", "", "%00", "a/b", "..%2f..", "AAAAAAAAAAAAAAAAAAAAAA/"]) {
      const answer = await fetch(`${url}/oauth/status-lists/${path}`);
      expect(answer.status, path).toBe(404);
      expect(((await answer.json()) as { error: string }).error).toBe("not_found");
    }
    for (const method of ["POST", "PUT", "DELETE"]) {
      for (const target of [uri, `${url}/oauth/status-lists`]) {
        const answer = await fetch(target, { method });
        expect([answer.status, answer.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
      }
    }
    const head = await fetch(uri, { method: "HEAD" });
    expect([head.status, await head.text(), head.headers.has("etag")]).toEqual([200, "", true]);
  });

  it("are for pages of every origin, without credentials", async () => {
    const { uri } = referenceOf(await machineToken());
    const headers = { Origin: "https://spa.example" };
    const answer = await fetch(uri, { headers });
    expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    expect(answer.headers.get("access-control-allow-credentials")).toBeNull();
    const asks = { ...headers, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "if-none-match" };
    const preflight = await fetch(uri, { method: "OPTIONS", headers: asks });
    expect([preflight.status, preflight.headers.get("access-control-allow-headers")]).toEqual([204, "if-none-match"]);
  });

  it("are dropped when their last token has long expired, and tokens of later are in others", async () => {
    const { uri } = referenceOf(await machineToken());
    await flow.later(4 * 1024 + 1, async () => {
      expect(referenceOf(await machineToken()).uri).not.toBe(uri);
      expect((await fetch(uri)).status).toBe(200);
    });
    await flow.later(5 * 1024 + 301, async () => expect((await fetch(uri)).status).toBe(404));
  });
});
