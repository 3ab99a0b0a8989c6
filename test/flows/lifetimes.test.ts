/** How long things live (issue 3, requirement 8): sliding limits, absolute ones beside them, and what cuts an access token short. */
import { decodeJwt } from "jose";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { grantorJson } from "../support/command-line.ts";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
  authorize,
  introspect,
  pkce,
  post,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
} from "../support/grantor.ts";

const API = "https://api.example";
/** Seconds that a slow machine may take between two clocks. */
const SLACK = 30;

describeFlows(
  "lifetimes",
  (flow) => {
    const about = (seconds: number) => ({ atLeast: seconds - SLACK, atMost: seconds });
    const expectLife = (actual: number, { atLeast, atMost }: ReturnType<typeof about>) => {
      expect(actual).toBeGreaterThanOrEqual(atLeast);
      expect(actual).toBeLessThanOrEqual(atMost);
    };
    /** What the JWT says is what the answer says. */
    const accessLife = ({ access_token, expires_in }: Tokens) => {
      const { exp = 0, iat = 0 } = decodeJwt(access_token);
      expect(exp - iat).toBe(expires_in);
      return expires_in;
    };
    const refreshLife = async (client: SeededClient, { refresh_token }: Tokens) => {
      const { exp, iat } = (await introspect(flow.grantor, client, refresh_token as string)) as { exp: number; iat: number };
      return exp - iat;
    };
    const next = async (client: SeededClient, { refresh_token }: Tokens): Promise<Tokens> => {
      const { status, body } = await answerOf(refresh(flow.grantor, client, refresh_token as string));
      expect([status, body.error]).toEqual([200, undefined]);
      return body as unknown as Tokens;
    };
    const refused = { status: 400, body: { error: "invalid_grant" } };
    const silently = async (agent: Agent, client: SeededClient) => {
      const { url } = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
      return new URL(url).searchParams.get("error") ?? "signed in";
    };

    it("a refresh token slides, and its family ends all the same", async () => {
      const client = await flow.grantor.client();
      const { tokens: first } = await signIn(flow.grantor, client, await flow.grantor.person());
      expect([accessLife(first), await refreshLife(client, first)]).toEqual([900, 1_000]);
      const second = await flow.later(900, () => next(client, first));
      const third = await flow.later(1_800, async () => {
        const tokens = await next(client, second);
        expectLife(await refreshLife(client, tokens), about(700));
        expectLife(accessLife(tokens), about(700));
        return tokens;
      });
      const fourth = await flow.later(2_300, async () => {
        const tokens = await next(client, third);
        expectLife(await refreshLife(client, tokens), about(200));
        expectLife(accessLife(tokens), about(200));
        return tokens;
      });
      await flow.later(2_501, async () => {
        expect(await answerOf(refresh(flow.grantor, client, fourth.refresh_token as string))).toMatchObject(refused);
        expect(await introspect(flow.grantor, client, fourth.access_token)).toEqual({ active: false });
      });
    });

    it("a refresh token that nobody uses expires", async () => {
      const client = await flow.grantor.client();
      const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
      await flow.later(1_001, async () =>
        expect(await answerOf(refresh(flow.grantor, client, tokens.refresh_token as string))).toMatchObject(refused),
      );
    });

    it("an operator sets them for a client; of client and resource the shorter counts", async () => {
      const { env } = flow.grantor.server;
      await flow.grantor.resource(API, { scopes: ["api:read"], accessTokenTtl: 50 });
      const person = await flow.grantor.person();
      const client = await flow.grantor.client({ metadata: { scope: "openid api:read" } });
      const ttl = ["--access-token-ttl", "60", "--refresh-token-ttl", "2000", "--refresh-token-max-age", "40000"];
      const shown = await grantorJson(env, ["client", "update", client.client_id, ...ttl]);
      const own = { access_token_ttl: 60, refresh_token_ttl: 2_000, refresh_token_max_age: 40_000 };
      expect(shown).toMatchObject(own);
      expect(await grantorJson(env, ["client", "show", client.client_id])).toMatchObject(own);

      const { tokens } = await signIn(flow.grantor, client, person);
      expect([accessLife(tokens), await refreshLife(client, tokens)]).toEqual([60, 2_000]); // longer than the setting, too
      const forApi = { parameters: { resource: API, scope: "api:read" } };
      expect(accessLife((await signIn(flow.grantor, client, person, forApi)).tokens)).toBe(50);

      await flow.grantor.services.clients.update(client.client_id, { accessTokenTtl: 40 });
      expect(accessLife((await signIn(flow.grantor, client, person, forApi)).tokens)).toBe(40);

      const service = await flow.grantor.client({ type: "service", accessTokenTtl: 30, metadata: { scope: "api:read" } });
      const alone = await post(`${flow.grantor.url}/oauth/token`, service, { grant_type: "client_credentials", resource: API });
      expect(accessLife((await alone.json()) as Tokens)).toBe(30);

      const back = ["--no-access-token-ttl", "--no-refresh-token-ttl", "--no-refresh-token-max-age"];
      const without = await grantorJson(env, ["client", "update", client.client_id, ...back]);
      for (const name of Object.keys(own)) expect(without).not.toHaveProperty(name);
      expect(accessLife((await signIn(flow.grantor, client, person)).tokens)).toBe(900);
      await expect(grantorJson(env, ["client", "update", client.client_id, "--access-token-ttl", "2592001"])).rejects.toThrow(
        "access_token_ttl must be a whole number of seconds from 1 to 2592000",
      );
    });

    it("a limit that an operator lowers counts at the next refresh", async () => {
      const client = await flow.grantor.client();
      const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
      await flow.grantor.services.clients.update(client.client_id, { refreshTokenMaxAge: 300 });
      await flow.later(301, async () =>
        expect(await answerOf(refresh(flow.grantor, client, tokens.refresh_token as string))).toMatchObject(refused),
      );
      // A refusal uses nothing up.
      await flow.grantor.services.clients.update(client.client_id, { refreshTokenMaxAge: null });
      await next(client, tokens);
    });

    it("no application gives them to itself", async () => {
      const { token } = await flow.grantor.services.registrationTokens.createInitial({});
      const answer = await answerOf(
        fetch(`${flow.grantor.url}/oauth/register`, {
          method: "POST",
          headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
          body: JSON.stringify({
            redirect_uris: ["https://app.example/callback"],
            access_token_ttl: 86_400,
            refresh_token_max_age: 1,
            brand_color: "#aa3300",
          }),
        }),
      );
      expect(answer.status).toBe(201);
      for (const name of ["access_token_ttl", "refresh_token_ttl", "refresh_token_max_age", "brand_color"])
        expect(answer.body).not.toHaveProperty(name);
      const stored = await flow.stored.client(answer.body.client_id as string);
      expect(stored).toBeDefined();
      expect([stored?.accessTokenTtl, stored?.brandColor]).toEqual([undefined, undefined]);
    });

    it("a session slides, and ends all the same; signing in again begins its time afresh", async () => {
      const client = await flow.grantor.client({ firstParty: true });
      const person = await flow.grantor.person();
      const [agent, again] = [new Agent(), new Agent()];
      for (const each of [agent, again]) await signIn(flow.grantor, client, person, { agent: each });
      for (const each of [agent, again]) expect(await flow.later(2_900, () => silently(each, client))).toBe("signed in");
      for (const each of [agent, again]) expect(await flow.later(4_000, () => silently(each, client))).toBe("signed in");
      await flow.later(4_000, () => authorize(again, authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "login" }), person));
      await flow.later(5_001, async () => {
        expect(await silently(agent, client)).toBe("login_required");
        expect(await silently(again, client)).toBe("signed in");
      });
      expect(await flow.later(7_900, () => silently(again, client))).toBe("signed in");
      expect(await flow.later(9_001, () => silently(again, client))).toBe("login_required");
    });

    it("a session that nobody uses ends", async () => {
      const client = await flow.grantor.client({ firstParty: true });
      const { agent } = await signIn(flow.grantor, client, await flow.grantor.person());
      expect(await flow.later(3_001, () => silently(agent, client))).toBe("login_required");
    });

    it("an access token does not outlive the session that it is bound to", async () => {
      const client = await flow.grantor.client({ firstParty: true, refreshTokenMaxAge: 40_000 });
      const { agent, tokens: first } = await signIn(flow.grantor, client, await flow.grantor.person());
      let tokens = first;
      const refreshAt = (seconds: number) =>
        flow.later(seconds, async () => {
          tokens = await next(client, tokens);
          return accessLife(tokens);
        });
      for (const at of [900, 1_800]) expect(await refreshAt(at)).toBe(900);
      expectLife(await refreshAt(2_700), about(300)); // nobody has used it since the sign-in
      expect(await flow.later(2_700, () => silently(agent, client))).toBe("signed in");
      for (const at of [2_700, 3_600]) expect(await refreshAt(at)).toBe(900);
      expectLife(await refreshAt(4_500), about(500)); // used or not, it ends then
      await flow.later(5_001, async () => {
        expect(await answerOf(refresh(flow.grantor, client, tokens.refresh_token as string))).toMatchObject(refused);
        expect(await introspect(flow.grantor, client, tokens.access_token)).toEqual({ active: false });
      });
    });

    it("offline access has nothing to do with the session", async () => {
      const client = await flow.grantor.client({ refreshTokenMaxAge: 40_000, refreshTokenTtl: 10_000 });
      const parameters = { scope: "openid offline_access", prompt: "consent" };
      const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person(), { parameters });
      expect(await flow.later(9_000, async () => accessLife(await next(client, tokens)))).toBe(900);
    });
  },
  { env: { REFRESH_TOKEN_TTL: "1000", REFRESH_TOKEN_MAX_AGE: "2500", SESSION_TTL: "3000", SESSION_MAX_AGE: "5000" } },
);
