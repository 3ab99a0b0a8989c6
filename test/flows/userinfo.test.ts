/** OIDC Core §5.3, RFC 6750: claims for whoever holds a token for them. */
import { expect, it } from "vitest";
import { describeFlows } from "../support/flows.ts";
import { answerOf, signIn, userinfo } from "../support/grantor.ts";

describeFlows("userinfo", (flow) => {
  const url = () => `${flow.grantor.url}/oauth/userinfo`;

  it("gives what the scopes release, and sub always", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid profile email address phone roles" } });
    const person = await flow.grantor.person({ roles: ["reader"] });
    await flow.grantor.services.people.accounts.update(person.id, {
      claims: { given_name: "Ada", locale: "en-GB", address: { country: "GB" }, phone_number: "+441", phone_number_verified: true },
    });
    const claimsFor = async (scope: string) => {
      const { tokens } = await signIn(flow.grantor, client, person, { parameters: { scope } });
      const response = await userinfo(flow.grantor, tokens.access_token);
      expect(response.headers.get("Content-Type")).toContain("application/json");
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      return (await response.json()) as Record<string, unknown>;
    };
    expect(await claimsFor("openid")).toEqual({ sub: person.id });
    expect(await claimsFor("openid email")).toEqual({ sub: person.id, email: person.email, email_verified: true });
    const profile = await claimsFor("openid profile");
    expect(profile).toMatchObject({ sub: person.id, name: "Ada Lovelace", given_name: "Ada", locale: "en-GB" });
    for (const member of ["email", "address", "phone_number", "roles"]) expect(profile).not.toHaveProperty(member);
    expect(await claimsFor("openid address phone roles")).toEqual({
      sub: person.id,
      address: { country: "GB" },
      phone_number: "+441",
      phone_number_verified: true,
      roles: ["reader"],
    });
  });

  it("takes the token in the header or in the body, in one place, and never in the query", async () => {
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    const token = tokens.access_token;
    const authorization = { Authorization: `Bearer ${token}` };
    expect((await fetch(url(), { headers: authorization })).status).toBe(200);
    expect((await fetch(url(), { method: "POST", headers: authorization })).status).toBe(200);
    expect((await fetch(url(), { method: "POST", body: new URLSearchParams({ access_token: token }) })).status).toBe(200);
    const both = await fetch(url(), { method: "POST", headers: authorization, body: new URLSearchParams({ access_token: token }) });
    expect(both.status).toBe(400);
    const query = await fetch(`${url()}?access_token=${token}`);
    expect(query.status).toBeGreaterThanOrEqual(400);
    expect(query.status).toBeLessThan(500);
  });

  it("challenges who brings none or a wrong one", async () => {
    const none = await fetch(url());
    expect([400, 401]).toContain(none.status);
    expect(none.headers.get("WWW-Authenticate")).toMatch(/^Bearer realm=/);
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    for (const wrong of ["x", "a.b.c", tokens.refresh_token as string, tokens.id_token as string, `${tokens.access_token}x`]) {
      const answer = await userinfo(flow.grantor, wrong);
      expect([wrong.slice(0, 8), answer.status]).toEqual([wrong.slice(0, 8), 401]);
      expect(answer.headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
      expect(await answer.json()).toMatchObject({ error: "invalid_token" });
    }
    for (const header of ["Bearer", "Bearer ", "Bearer a b", "Basic eDp5", "bearer", "DPoP x", "Bearer \u00e9"]) {
      const answer = await fetch(url(), { headers: { Authorization: header } });
      expect([header, answer.status < 500 && answer.status >= 400]).toEqual([header, true]);
    }
  });

  it("asks for openid in the token's scope", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid email" } });
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person(), { parameters: { scope: "email" } });
    expect(tokens.id_token).toBeUndefined();
    const answer = await userinfo(flow.grantor, tokens.access_token);
    expect(answer.status).toBe(403);
    expect(answer.headers.get("WWW-Authenticate")).toContain('error="insufficient_scope"');
  });

  it("follows the person: new claims at once, none when disabled or deleted", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const { tokens } = await signIn(flow.grantor, client, person, { parameters: { scope: "openid profile" } });
    const { accounts } = flow.grantor.services.people;
    await accounts.update(person.id, { name: "Augusta Ada King" });
    const current = async () => answerOf(userinfo(flow.grantor, tokens.access_token));
    await expect.poll(current).toMatchObject({ status: 200, body: { name: "Augusta Ada King" } });
    await accounts.disable(person.id);
    await expect.poll(current).toMatchObject({ status: 401, body: { error: "invalid_token" } });
  });

  it("ends with the token's life", async () => {
    const client = await flow.grantor.client();
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    await flow.later(899, async () => expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(200));
    await flow.later(901, async () => expect((await userinfo(flow.grantor, tokens.access_token)).status).toBe(401));
  });
});
