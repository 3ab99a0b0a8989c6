/** An application that an operator has suspended is as good as not registered, until it is resumed. The order comes from another process. */
import { decodeJwt } from "jose";
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { grantorJson } from "../support/command-line.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorizationUrl, introspect, pkce, post, redeem, refresh, signIn, userinfo } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

describeFlows("suspension", (flow) => {
  it("ends all that an application has, and lets it do nothing, until it is resumed", async () => {
    const { grantor } = flow;
    const { env } = grantor.server;
    const { token: initial } = await grantor.services.registrationTokens.createInitial({});
    const registered = await answerOf(
      fetch(`${grantor.url}/oauth/register`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${initial}` },
        body: JSON.stringify({
          client_name: "Suspicious application",
          redirect_uris: ["https://app.example/callback"],
          grant_types: ["authorization_code", "refresh_token", "client_credentials"],
        }),
      }),
    );
    const { client_id, client_secret, registration_access_token } = registered.body as Record<string, string>;
    const client = { client_id: client_id as string, client_secret: client_secret as string, redirect_uri: "https://app.example/callback" };
    const management = (headers = { Authorization: `Bearer ${registration_access_token}` }) =>
      fetch(`${grantor.url}/oauth/register/${client_id}`, { headers });
    const person = await grantor.person();
    const { agent, tokens } = await signIn(grantor, client, person);
    const pending = pkce();
    const code = new URL((await agent.open(authorizationUrl(grantor.url, client, pending))).url).searchParams.get("code") as string;

    expect(await grantorJson(env, ["client", "suspend", client.client_id])).toMatchObject({ client_id, suspended: true });
    await waitFor("the server to hear of it", async () => (await management()).status === 401);

    // Nothing that it had is of use, and it gets nothing more.
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(401);
    const refusals = [
      redeem(grantor, client, code, pending),
      refresh(grantor, client, tokens.refresh_token as string),
      post(`${grantor.url}/oauth/token`, client, { grant_type: "client_credentials" }),
      post(`${grantor.url}/oauth/introspect`, client, { token: tokens.access_token }),
      post(`${grantor.url}/oauth/revoke`, client, { token: tokens.access_token }),
      post(`${grantor.url}/oauth/par`, client, { redirect_uri: client.redirect_uri, response_type: "code" }),
      post(`${grantor.url}/oauth/device`, client, {}),
    ];
    for (const refusal of refusals) expect(await answerOf(refusal)).toMatchObject({ status: 401, body: { error: "invalid_client" } });

    // People read why, and are sent nowhere.
    for (const each of [agent, new Agent()]) {
      const page = await each.open(authorizationUrl(grantor.url, client, pkce()));
      expect([page.status, page.text.includes("This application is suspended")]).toEqual([400, true]);
    }
    expect((await agent.open(`${grantor.url}/account`)).text).toContain(person.email);

    expect(await grantorJson(env, ["client", "resume", client.client_id])).toMatchObject({ client_id, suspended: false });
    await waitFor("the server to hear of it", async () => (await management()).status === 200);
    expect((await redeem(grantor, client, code, pending)).status).toBe(400);
    expect((await refresh(grantor, client, tokens.refresh_token as string)).status).toBe(400);
    expect(await introspect(grantor, client, tokens.access_token)).toEqual({ active: false });
    const again = await signIn(grantor, client, person, { agent });
    expect((await userinfo(grantor, again.tokens.access_token)).status).toBe(200);

    const events = await grantor.services.database.pool.query(
      "SELECT event, actor FROM audit_event WHERE client_id = $1 AND actor = 'operator'",
      [client_id],
    );
    expect(events.rows).toEqual([
      { event: "client.suspended", actor: "operator" },
      { event: "client.resumed", actor: "operator" },
    ]);
  });

  it("ends what the server was just giving when the order came", async () => {
    const { grantor } = flow;
    const { pool } = grantor.services.database;
    for (let round = 0; round < 3; round++) {
      const client = await grantor.client({ type: "service", metadata: { scope: "openid" } });
      const tokens: string[] = [];
      const ask = async (): Promise<void> => {
        const { status, body } = await answerOf(post(`${grantor.url}/oauth/token`, client, { grant_type: "client_credentials" }));
        if (status !== 200) return void expect(body.error).toBe("invalid_client");
        tokens.push(body.access_token as string);
        await ask();
      };
      const askers = Promise.all(Array.from({ length: 8 }, ask));
      await waitFor("tokens", () => tokens.length > 8);
      await grantor.services.clients.suspend(client.client_id);
      await askers;
      const places = tokens.map((token) => (decodeJwt(token).status as { status_list: { idx: number; uri: string } }).status_list);
      const isEnded = async () => {
        const { rows } = await pool.query("SELECT list_id, idx FROM status_entry");
        const ended = new Set(rows.map(({ list_id, idx }) => `${list_id} ${idx}`));
        return places.every(({ uri, idx }) => ended.has(`${uri.slice(uri.lastIndexOf("/") + 1)} ${idx}`));
      };
      await waitFor("all of them to be ended", isEnded);
    }
  });

  it("comes too late for nothing: what was given while the order was under way ends when it is given again", async () => {
    const client = await flow.grantor.client({ type: "service", metadata: { scope: "openid" } });
    await flow.grantor.services.clients.suspend(client.client_id);
    await flow.grantor.services.clients.suspend(client.client_id);
    expect((await flow.stored.client(client.client_id))?.suspendedAt).toBeInstanceOf(Date);
    await flow.grantor.services.clients.resume(client.client_id);
    expect((await flow.stored.client(client.client_id))?.suspendedAt).toBeUndefined();
    await expect(flow.grantor.services.clients.suspend("nobody")).rejects.toMatchObject({ code: "not_found" });
    await expect(flow.grantor.services.clients.resume("nobody")).rejects.toMatchObject({ code: "not_found" });
  });
});
