/** RFC 7009: what a client takes back is gone at once, and nothing else is. */
import { decodeJwt } from "jose";
import { expect, it } from "vitest";
import { describeFlows } from "../support/flows.ts";
import {
  answerOf,
  authorizationUrl,
  introspect,
  pkce,
  post,
  redeem,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";

describeFlows("revocation", (flow) => {
  const revoke = (client: SeededClient, parameters: Record<string, string>) => post(`${flow.grantor.url}/oauth/revoke`, client, parameters);
  const works = async (tokens: Tokens) => (await userinfo(flow.grantor, tokens.access_token)).status === 200;

  it("ends an access token alone, and says nothing", async () => {
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const next = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    const answer = await revoke(client, { token: tokens.access_token });
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    expect(await works(tokens)).toBe(false);
    expect(await introspect(flow.grantor, client, tokens.access_token)).toEqual({ active: false });
    expect(await works(next)).toBe(true);
    expect((await revoke(client, { token: tokens.access_token })).status).toBe(200); // again
    expect((await refresh(flow.grantor, client, next.refresh_token as string)).status).toBe(200);
  });

  it.each(["access_token", "refresh_token", "nonsense"])("finds a token whatever the hint %s says", async (token_type_hint) => {
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    expect((await revoke(client, { token: tokens.access_token, token_type_hint })).status).toBe(200);
    expect(await works(tokens)).toBe(false);
    const { tokens: others } = await signIn(flow.grantor, client, await flow.grantor.person());
    expect((await revoke(client, { token: others.refresh_token as string, token_type_hint })).status).toBe(200);
    expect(await works(others)).toBe(false);
  });

  it("ends everything of the grant with its refresh token, and the next sign-in begins anew", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { tokens, agent } = await signIn(flow.grantor, client, person);
    const next = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    expect((await revoke(client, { token: next.refresh_token as string })).status).toBe(200);
    for (const each of [tokens, next]) {
      expect(await works(each)).toBe(false);
      expect(await answerOf(refresh(flow.grantor, client, each.refresh_token as string))).toMatchObject({
        status: 400,
        body: { error: "invalid_grant" },
      });
    }
    // The person is still signed in and has still consented: a new grant is made.
    const again = await signIn(flow.grantor, client, person, { agent });
    expect(await works(again.tokens)).toBe(true);
  });

  it("ends the family with a refresh token that was used already", async () => {
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const next = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
    expect((await revoke(client, { token: tokens.refresh_token as string })).status).toBe(200);
    expect(await works(next)).toBe(false);
    // Nor is the kept answer of the last refresh given again.
    expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(400);
  });

  it("ends a grant whose code is not redeemed yet", async () => {
    const client = await flow.grantor.client();
    const { tokens, agent } = await signIn(flow.grantor, client, await flow.grantor.person());
    const proof = pkce();
    const end = await agent.open(authorizationUrl(flow.grantor.url, client, proof));
    const code = new URL(end.url).searchParams.get("code") as string;
    await revoke(client, { token: tokens.refresh_token as string });
    expect(await answerOf(redeem(flow.grantor, client, code, proof))).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
  });

  it("leaves the tokens of other devices, other applications and other people alone", async () => {
    const client = await flow.grantor.client();
    const other = await flow.grantor.client();
    const person = await flow.grantor.person();
    const phone = await signIn(flow.grantor, client, person);
    const laptop = await signIn(flow.grantor, client, person);
    const elsewhere = await signIn(flow.grantor, other, person, { agent: phone.agent });
    const somebody = await signIn(flow.grantor, client, await flow.grantor.person());
    await revoke(client, { token: phone.tokens.refresh_token as string });
    expect(await works(phone.tokens)).toBe(false);
    for (const { tokens } of [laptop, elsewhere, somebody]) expect(await works(tokens)).toBe(true);
  });

  it("is for the token's own client", async () => {
    const client = await flow.grantor.client();
    const other = await flow.grantor.client();
    const spa = await flow.grantor.client({ type: "spa" });
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    for (const stranger of [other, spa]) {
      for (const token of [tokens.access_token, tokens.refresh_token as string]) {
        const answer = await revoke(stranger, { token });
        expect([answer.status, await answer.text()]).toEqual([200, ""]);
      }
    }
    expect(await works(tokens)).toBe(true);
    expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(200);
    const wrong = await revoke({ ...client, client_secret: "not-the-secret-of-it" }, { token: tokens.access_token });
    expect(wrong.status).toBe(401);
    const own = await signIn(flow.grantor, spa, await flow.grantor.person());
    expect((await revoke(spa, { token: own.tokens.access_token })).status).toBe(200);
    expect(await works(own.tokens)).toBe(false);
  });

  it("answers 200 to what it does not know, and 400 to what it cannot read", async () => {
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const { jti } = decodeJwt(tokens.access_token);
    for (const token of ["x", "a.b.c", String(jti), "..", tokens.id_token as string])
      expect((await revoke(client, { token })).status).toBe(200);
    expect(await works(tokens)).toBe(true);
    expect(await answerOf(revoke(client, {}))).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    const twice = post(`${flow.grantor.url}/oauth/revoke`, client, [
      ["token", "a"],
      ["token", "b"],
    ]);
    expect(await answerOf(twice)).toMatchObject({ status: 400, body: { error: "invalid_request" } });
    expect((await fetch(`${flow.grantor.url}/oauth/revoke`)).status).toBe(405);
  });
});
