/** Which pages may call the server from a browser: nobody with credentials, single-page applications from their own origins. */
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, pkce, post, type SeededClient, signIn, userinfo } from "../support/grantor.ts";

const HOME = "https://spa.example";
const EVIL = "https://evil.example";

describeFlows("CORS", (flow) => {
  const spa = () => flow.grantor.client({ type: "spa", metadata: { redirect_uris: [`${HOME}/callback`, "https://second.example/cb"] } });
  const allowed = (response: Response) => response.headers.get("Access-Control-Allow-Origin");
  const from = (origin: string) => ({ Origin: origin });
  const tokenFrom = async (client: SeededClient, origin: string) => {
    const proof = pkce();
    const end = await authorize(new Agent(), authorizationUrl(flow.grantor.url, client, proof), await flow.grantor.person());
    const code = new URL(end.url).searchParams.get("code") as string;
    const parameters = { grant_type: "authorization_code", code, redirect_uri: client.redirect_uri, code_verifier: proof.verifier };
    return post(`${flow.grantor.url}/oauth/token`, client, parameters, from(origin));
  };

  it.each(["/oauth/token", "/oauth/userinfo", "/oauth/revoke"])("answers preflights at %s", async (path) => {
    const response = await fetch(`${flow.grantor.url}${path}`, {
      method: "OPTIONS",
      headers: { ...from(HOME), "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type" },
    });
    expect(response.status).toBe(204);
    expect(allowed(response)).toBe(HOME);
    expect(response.headers.get("Vary")).toContain("Origin");
    expect(response.headers.get("Access-Control-Allow-Methods")).toContain("POST");
    expect(response.headers.get("Access-Control-Allow-Headers")).toContain("authorization");
    expect(response.headers.get("Access-Control-Allow-Credentials")).toBeNull();
  });

  it("serves a single-page application from the origins of its redirect URIs, and from no other", async () => {
    const client = await spa();
    for (const origin of [HOME, "https://second.example"]) {
      const response = await tokenFrom(client, origin);
      expect([response.status, allowed(response)]).toEqual([200, origin]);
      expect(response.headers.get("Access-Control-Allow-Credentials")).toBeNull();
      const { access_token } = (await response.json()) as { access_token: string };
      const info = await fetch(`${flow.grantor.url}/oauth/userinfo`, {
        headers: { ...from(origin), Authorization: `Bearer ${access_token}` },
      });
      expect([info.status, allowed(info)]).toEqual([200, origin]);
      const revoked = await post(`${flow.grantor.url}/oauth/revoke`, client, { token: access_token }, from(origin));
      expect([revoked.status, allowed(revoked)]).toEqual([200, origin]);
      expect((await userinfo(flow.grantor, access_token)).status).toBe(401);
    }
    const { tokens } = await signIn(flow.grantor, client, await flow.grantor.person());
    for (const origin of [EVIL, "https://spa.example.evil.example", "http://spa.example", "https://spa.example:8443", "null"]) {
      const response = await tokenFrom(client, origin);
      expect([origin, allowed(response)]).toEqual([origin, null]);
      const info = await fetch(`${flow.grantor.url}/oauth/userinfo`, {
        headers: { ...from(origin), Authorization: `Bearer ${tokens.access_token}` },
      });
      expect([origin, allowed(info)]).toEqual([origin, null]);
      const revoked = await post(`${flow.grantor.url}/oauth/revoke`, client, { token: "x" }, from(origin));
      expect([origin, allowed(revoked)]).toEqual([origin, null]);
    }
  });

  it("lets an application read what went wrong", async () => {
    const client = await spa();
    const wrong = await post(
      `${flow.grantor.url}/oauth/token`,
      client,
      { grant_type: "authorization_code", code: "x", redirect_uri: client.redirect_uri },
      from(HOME),
    );
    expect([wrong.status, allowed(wrong)]).toEqual([400, HOME]);
    expect(await wrong.json()).toMatchObject({ error: expect.any(String) });
  });

  it("serves no confidential application from a browser", async () => {
    const client = await flow.grantor.client({ metadata: { redirect_uris: [`${HOME}/callback`] } });
    expect(allowed(await tokenFrom(client, HOME))).toBeNull();
  });

  it("never opens the authorization endpoint, the pages or registration", async () => {
    const client = await spa();
    const { agent } = await signIn(flow.grantor, client, await flow.grantor.person());
    for (const url of [
      authorizationUrl(flow.grantor.url, client, pkce()),
      `${flow.grantor.url}/device`,
      `${flow.grantor.url}/account`,
      `${flow.grantor.url}/`,
      `${flow.grantor.url}/oauth/logout`,
    ]) {
      for (const origin of [HOME, EVIL]) {
        const response = await agent.request(url, { headers: from(origin) });
        expect([url, allowed(response)]).toEqual([url, null]);
        const preflight = await fetch(url, { method: "OPTIONS", headers: { ...from(origin), "Access-Control-Request-Method": "GET" } });
        expect([url, allowed(preflight)]).toEqual([url, null]);
      }
    }
    const register = await fetch(`${flow.grantor.url}/oauth/register`, {
      method: "POST",
      headers: { ...from(HOME), "Content-Type": "application/json" },
      body: "{}",
    });
    expect(allowed(register)).toBeNull();
  });
});
