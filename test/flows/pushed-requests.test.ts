/** RFC 9126: the authorization request goes to the server first, and the browser carries a reference. */
import * as oidc from "openid-client";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorize, pkce, post, redeem, type SeededClient } from "../support/grantor.ts";

describeFlows("pushed authorization requests", (flow) => {
  const proof = pkce();
  const push = (client: SeededClient, parameters: Record<string, string> = {}) =>
    post(`${flow.grantor.url}/oauth/par`, client, {
      client_id: client.client_id,
      redirect_uri: client.redirect_uri,
      response_type: "code",
      scope: "openid",
      state: "pushed-state",
      code_challenge: proof.challenge,
      code_challenge_method: "S256",
      ...parameters,
    });
  const pushed = async (client: SeededClient, parameters: Record<string, string> = {}): Promise<string> => {
    const response = await push(client, parameters);
    expect(response.status).toBe(201);
    return ((await response.json()) as { request_uri: string }).request_uri;
  };
  const url = (client: SeededClient, requestUri: string, more: Record<string, string> = {}) =>
    `${flow.grantor.url}/oauth/authorize?${new URLSearchParams({ client_id: client.client_id, request_uri: requestUri, ...more })}`;

  it.each(["web", "spa", "native"] as const)("serves a %s application", async (type) => {
    const client = await flow.grantor.client({ type, ...(type === "native" && { metadata: { redirect_uris: ["http://127.0.0.1/cb"] } }) });
    const response = await push(client);
    expect(response.status).toBe(201);
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    const body = (await response.json()) as { request_uri: string; expires_in: number };
    expect(body).toEqual({ request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:/), expires_in: 60 });
    const end = await authorize(new Agent(), url(client, body.request_uri), await flow.grantor.person());
    const answer = new URL(end.url).searchParams;
    expect(answer.get("state")).toBe("pushed-state");
    expect(answer.get("iss")).toBe(flow.grantor.url);
    expect((await redeem(flow.grantor, client, answer.get("code") as string, proof)).status).toBe(200);
  });

  it("is understood by openid-client", async () => {
    const seeded = await flow.grantor.client();
    const config = await oidc.discovery(new URL(flow.grantor.url), seeded.client_id, seeded.client_secret, undefined, {
      execute: [oidc.allowInsecureRequests],
    });
    const verifier = oidc.randomPKCECodeVerifier();
    const parameters = {
      redirect_uri: seeded.redirect_uri,
      scope: "openid",
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    const at = await oidc.buildAuthorizationUrlWithPAR(config, parameters);
    expect([...at.searchParams.keys()].sort()).toEqual(["client_id", "request_uri"]);
    const end = await authorize(new Agent(), at.href, await flow.grantor.person());
    const tokens = await oidc.authorizationCodeGrant(config, new URL(end.url), { pkceCodeVerifier: verifier });
    expect(tokens.claims()).toBeDefined();
  });

  it("is used once, also when two browsers come at the same time", async () => {
    const client = await flow.grantor.client({ firstParty: true });
    const person = await flow.grantor.person();
    const requestUri = await pushed(client);
    const agent = new Agent();
    await authorize(agent, url(client, requestUri), person);
    const again = await agent.open(url(client, requestUri));
    expect([again.status, again.text.includes("invalid_request_uri")]).toEqual([400, true]);

    const raced = await pushed(client);
    const answers = await Promise.all(Array.from({ length: 10 }, () => agent.request(url(client, raced))));
    const codes = answers.filter((answer) => new URL(answer.headers.get("Location") ?? "about:blank").searchParams.has("code"));
    expect(codes).toHaveLength(1);
    // The losers hear it on a page, or at the application when their request was read before it was used.
    const refused = await Promise.all(
      answers.map(async (answer) => `${answer.headers.get("Location")} ${await answer.text()}`.includes("invalid_request_uri")),
    );
    expect(refused.filter(Boolean)).toHaveLength(9);
  });

  it("keeps to what was pushed", async () => {
    const client = await flow.grantor.client({
      metadata: { scope: "openid email", redirect_uris: ["https://app.example/callback", "https://app.example/other"] },
    });
    const requestUri = await pushed(client);
    const more = { redirect_uri: "https://app.example/other", scope: "openid email", state: "other-state", code_challenge: "x".repeat(43) };
    const end = await authorize(new Agent(), url(client, requestUri, more), await flow.grantor.person());
    expect(end.url.startsWith("https://app.example/callback?")).toBe(true);
    const answer = new URL(end.url).searchParams;
    expect(answer.get("state")).toBe("pushed-state");
    const tokens = await answerOf(redeem(flow.grantor, client, answer.get("code") as string, proof));
    expect(tokens).toMatchObject({ status: 200, body: { scope: "openid" } });
  });

  it("belongs to the client that pushed it, and expires", async () => {
    const client = await flow.grantor.client();
    const other = await flow.grantor.client();
    const requestUri = await pushed(client);
    for (const stolen of [
      url(other, requestUri),
      url(client, `${requestUri}x`),
      url(client, "urn:ietf:params:oauth:request_uri:nothing"),
      url(client, "https://app.example/request"),
    ]) {
      const page = await new Agent().open(stolen);
      expect([page.status, /invalid_request|request_uri_not_supported/.test(page.text)]).toEqual([400, true]);
    }
    await flow.later(61, async () => {
      const page = await new Agent().open(url(client, requestUri));
      expect([page.status, page.text.includes("invalid_request_uri")]).toEqual([400, true]);
    });
  });

  it("refuses at once what the authorization endpoint would refuse", async () => {
    const client = await flow.grantor.client({ metadata: { scope: "openid" } });
    const refused = async (parameters: Record<string, string>, error: string | RegExp) =>
      expect(await answerOf(push(client, parameters))).toEqual({
        status: 400,
        body: expect.objectContaining({ error: expect.stringMatching(error) }),
      });
    await refused({ redirect_uri: "https://evil.example/callback" }, /^invalid_(redirect_uri|request)$/);
    await refused({ response_type: "token" }, "unsupported_response_type");
    await refused({ response_type: "code id_token" }, "unsupported_response_type");
    await refused({ code_challenge_method: "plain" }, "invalid_request");
    await refused({ code_challenge: "" }, "invalid_request");
    await refused({ scope: "openid email" }, "invalid_scope");
    await refused({ resource: "https://nobody.example" }, "invalid_target");
    await refused({ request_uri: "urn:ietf:params:oauth:request_uri:x" }, "request_uri_not_supported");
    await refused({ prompt: "none login" }, "invalid_request");
    const wrong = await push({ ...client, client_secret: "wrong-secret-of-a-client" });
    expect(wrong.status).toBe(401);
    const { client_secret: _, ...unproved } = client;
    expect((await push(unproved)).status).toBe(401);
  });

  it("is the only way for a client that registered so", async () => {
    const client = await flow.grantor.client({ metadata: { require_pushed_authorization_requests: true } });
    const query = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: client.redirect_uri,
      response_type: "code",
      scope: "openid",
      code_challenge: proof.challenge,
      code_challenge_method: "S256",
    });
    const direct = await new Agent().open(`${flow.grantor.url}/oauth/authorize?${query}`);
    expect(new URL(direct.url).searchParams.get("error")).toBe("invalid_request");
    const end = await authorize(new Agent(), url(client, await pushed(client)), await flow.grantor.person());
    expect(new URL(end.url).searchParams.get("code")).toBeTruthy();
  });
});
