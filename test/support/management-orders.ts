/** What the orders of the management API come to: tests for a running suite of test/flows/management-api.test.ts. */
import { expect, it } from "vitest";
import type { Flow } from "./flows.ts";
import { refresh, signIn, userinfo } from "./grantor.ts";
import type { ManagementApi } from "./management-api.ts";
import { made, unique } from "./management-maker.ts";
import { waitFor } from "./wait-for.ts";

export function whatOrdersComeTo(flow: Flow, of: () => ManagementApi): void {
  const signedIn = async () => {
    const [person, client] = await Promise.all([flow.grantor.person(), flow.grantor.client()]);
    return { person, client, ...(await signIn(flow.grantor, client, person)) };
  };

  const isAlive = async (accessToken: string) => (await userinfo(flow.grantor, accessToken)).status === 200;

  it("of two who change the same thing at once, by the same sight, one does", async () => {
    const api = of();
    const account = await made(api, "/accounts", { email: `${unique("raced")}@example.org`, email_verified: true });
    const client = await made(api, "/clients", { type: "web", client_name: "Raced", redirect_uris: ["https://raced.example/cb"] });
    for (const [path, bodies] of [
      [`/accounts/${account.account_id}`, [{ name: "One" }, { name: "Other" }]],
      [`/clients/${client.client_id}`, [{ client_name: "One" }, { client_name: "Other" }]],
    ] as const) {
      const tag = (await api.call("GET", path)).headers.get("etag") as string;
      const answers = await Promise.all(bodies.map((body) => api.call("PATCH", path, { body, headers: { "If-Match": tag } })));
      expect(answers.map(({ status }) => status).sort(), path).toEqual([200, 412]);
      const won = answers.find(({ status }) => status === 200);
      expect((await api.call("GET", path)).headers.get("etag")).toBe(won?.headers.get("etag"));
    }
  });

  it("what was made by a request whose answer is lost is not made twice, and named", async () => {
    const api = of();
    const { idempotentRequest } = flow.grantor.services.database.prisma;
    const name = unique("lost");
    const order = {
      body: { type: "web", client_name: name, redirect_uris: ["https://lost.example/cb"] },
      headers: { "Idempotency-Key": name },
    };
    const since = await idempotentRequest.count();
    const { status, body } = await api.call("POST", "/clients", order);
    expect([status, await idempotentRequest.count()]).toEqual([201, since + 1]);
    // As a process leaves it that dies between its work and its answer, some minutes later.
    const { key } = await idempotentRequest.findFirstOrThrow({ orderBy: { createdAt: "desc" } });
    await idempotentRequest.update({ where: { key }, data: { status: null, answer: null, expiresAt: new Date(0) } });
    for (const again of [await api.call("POST", "/clients", order), await api.call("POST", "/clients", order)])
      expect([again.status, again.body.detail]).toEqual([409, expect.stringContaining(`/clients/${body.client_id}/rotate-secret`)]);
    expect((await api.call("GET", `/clients?search=${name}`)).body.items).toHaveLength(1);
  });

  it("a session that is ended is one no more, and its tokens neither; another's stays", async () => {
    const api = of();
    const { person, client, tokens } = await signedIn();
    const other = await signIn(flow.grantor, client, person);
    const { items } = (await api.call("GET", `/accounts/${person.id}/sessions`)).body;
    expect(items).toHaveLength(2);
    expect(items[0]).toMatchObject({ client_ids: [client.client_id], kept: expect.any(Boolean) });
    expect(JSON.stringify(items)).not.toMatch(/"uid"|cookie/);
    for (const { session_id } of items) {
      const path = `/accounts/${person.id}/sessions/${session_id}`;
      expect((await api.call("DELETE", path, { headers: { "If-Match": "*" } })).status).toBe(204);
      expect((await api.call("GET", path)).status).toBe(404);
      if (session_id === items[0].session_id) {
        const alive = await Promise.all([tokens, other.tokens].map(({ access_token }) => isAlive(access_token)));
        expect(alive.sort()).toEqual([false, true]);
      }
    }
    expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(400);
    expect((await refresh(flow.grantor, client, other.tokens.refresh_token as string)).status).toBe(400);
    const { person: stranger } = await signedIn();
    const [theirs] = (await api.call("GET", `/accounts/${stranger.id}/sessions`)).body.items;
    expect((await api.call("GET", `/accounts/${person.id}/sessions/${theirs.session_id}`)).status).toBe(404);
  });

  it("what a person allowed is taken back with all that came of it", async () => {
    const api = of();
    const { person, client, tokens } = await signedIn();
    const path = `/grants/${person.id}/${client.client_id}`;
    // That it was used is noted behind the answer.
    const { status, headers, body } = await waitFor("the use to be noted", async () => {
      const answer = await api.call("GET", path);
      return answer.body.last_used_at === undefined ? undefined : answer;
    });
    expect([status, body]).toMatchObject([200, { account_id: person.id, client_id: client.client_id, scope: "openid" }]);
    expect((await api.call("GET", `/grants?account_id=${person.id}`)).body.items).toEqual([body]);
    expect((await api.call("DELETE", path, { headers: { "If-Match": headers.get("etag") as string } })).status).toBe(204);
    expect((await api.call("GET", path)).status).toBe(404);
    expect(await isAlive(tokens.access_token)).toBe(false);
    expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(400);
  });

  it("what a first-party application holds of somebody, whom it never asked, is named and ended, and no other's", async () => {
    const api = of();
    const [person, client] = await Promise.all([flow.grantor.person(), flow.grantor.client({ firstParty: true })]);
    const [{ tokens }, { tokens: others }] = [await signIn(flow.grantor, client, person), await signIn(flow.grantor, client, person)];
    expect((await api.call("GET", `/grants?account_id=${person.id}`)).body.items).toEqual([]);
    const list = `/accounts/${person.id}/live-grants`;
    const first = (await api.call("GET", `${list}?limit=1`)).body;
    const second = (await api.call("GET", `${list}?limit=1&cursor=${first.next}`)).body;
    expect(second.next).toBeUndefined();
    const [one, other] = [...first.items, ...second.items];
    for (const grant of [one, other])
      expect(grant).toMatchObject({ account_id: person.id, client_id: client.client_id, scope: expect.stringContaining("openid") });
    expect(one.grant_id < other.grant_id).toBe(true);

    const alive = async () => (await Promise.all([tokens, others].map(({ access_token }) => isAlive(access_token)))).sort();
    for (const [{ grant_id }, left] of [
      [one, [false, true]],
      [other, [false, false]],
    ] as const) {
      expect((await api.call("GET", `/accounts/nobody/live-grants/${grant_id}`)).status).toBe(404);
      expect((await api.call("DELETE", `${list}/${grant_id}`, { headers: { "If-Match": "*" } })).status).toBe(204);
      expect((await api.call("GET", `${list}/${grant_id}`)).status).toBe(404);
      expect(await alive()).toEqual(left);
    }
    expect((await api.call("GET", list)).body.items).toEqual([]);
  });

  it("a secret is shown once, where it is made", async () => {
    const api = of();
    const client = await made(api, "/clients", { type: "web", client_name: "Once", redirect_uris: ["https://once.example/cb"] });
    const { body: rotated } = await api.call("POST", `/clients/${client.client_id}/rotate-secret`, { body: { overlap: 600 } });
    expect(rotated).toMatchObject({ client_secret: expect.stringMatching(/^[\w-]{43}$/), previous_secret_until: expect.any(String) });
    expect(rotated.client_secret).not.toBe(client.client_secret);
    const account = await made(api, "/accounts", { email: `${unique("once")}@example.org` });
    expect(account.password).toMatch(/^[\w-]{24}$/);
    const shown = await Promise.all(
      [
        `/clients/${client.client_id}`,
        "/clients?limit=200",
        `/accounts/${account.account_id}`,
        `/accounts/${account.account_id}/ways-in`,
      ].map((path) => api.call("GET", path)),
    );
    const text = JSON.stringify(shown.map(({ body }) => body));
    for (const secret of [client.client_secret, rotated.client_secret, account.password]) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/hash|argon2|"client_secret"/i);
  });

  it("nobody gives, or takes over, more than their own token holds", async () => {
    const api = of();
    const token = await api.token(["grantor:accounts:write", "grantor:clients:write", "grantor:roles:write", "grantor:accounts:read"]);
    const admin = await flow.grantor.person({ roles: ["admin"] });
    const somebody = await flow.grantor.person();
    const mighty = await flow.grantor.client({ type: "service", managementScopes: ["grantor:keys:write"] });
    const owner = await flow.grantor.person();
    await flow.grantor.services.clientOwners.add(mighty.client_id, owner.id);
    const web = { type: "web", client_name: "Modest", redirect_uris: ["https://modest.example/cb"] };
    const any = { "If-Match": "*" };
    for (const [method, path, body] of [
      ["PATCH", `/accounts/${admin.id}`, { email: `${unique("taken")}@example.org` }],
      ["POST", `/accounts/${admin.id}/password`, { password: "a password of somebody else" }],
      ["POST", `/accounts/${admin.id}/remove-second-factor`, undefined],
      ["POST", `/accounts/${admin.id}/enable`, undefined],
      ["PATCH", `/accounts/${owner.id}`, { email: `${unique("taken")}@example.org` }],
      ["POST", `/accounts/${owner.id}/password`, { password: "a password of somebody else" }],
      ["PUT", `/accounts/${somebody.id}/roles`, { roles: ["admin"] }],
      ["POST", "/clients", { ...web, scope: "openid grantor:keys:write" }],
      ["PATCH", `/clients/${mighty.client_id}`, { client_name: "Mine" }],
      ["POST", `/clients/${mighty.client_id}/rotate-secret`, {}],
      ["POST", `/clients/${mighty.client_id}/resume`, undefined],
    ] as const) {
      const refused = await api.call(method, path, { token, body, ...(method !== "POST" && { headers: any }) });
      expect([refused.status, refused.body.type], path).toEqual([403, expect.stringMatching(/\/forbidden$/)]);
    }
    expect((await api.call("PATCH", `/accounts/${admin.id}`, { token, body: { name: "Renamed" }, headers: any })).status).toBe(200);
    expect((await api.call("POST", "/clients", { token, body: { ...web, scope: "openid grantor:clients:write" } })).status).toBe(201);
    expect((await api.call("PUT", `/accounts/${somebody.id}/roles`, { token, body: { roles: ["staff"] }, headers: any })).status).toBe(200);
  });

  it("what is wrong is named as it was given", async () => {
    for (const [path, body, field] of [
      ["/roles", { name: "no name" }, "/name"],
      ["/registration-tokens", { expires_in: 1_000_000_000 }, "/expires_in"],
      ["/registration-tokens", { redirect_hosts: ["app.example", "*"] }, "/redirect_hosts/1"],
    ] as const) {
      const { status, body: problem } = await of().call("POST", path, { body });
      expect([status, problem.errors?.map((error: { field: string }) => error.field)], path).toEqual([400, [field]]);
    }
  });

  it("what is sent back as it was got changes nothing", async () => {
    const api = of();
    const { client_id } = await made(api, "/clients", {
      type: "service",
      client_name: "Round trip",
      scope: "grantor:keys:read",
      access_token_ttl: 300,
    });
    const path = `/clients/${client_id}`;
    const { body: before, headers } = await api.call("GET", path);
    const { client_id: _, secret_created_at, created_by, created_at, updated_at, ...body } = before;
    const after = await api.call("PATCH", path, { body, headers: { "If-Match": headers.get("etag") as string } });
    expect([after.status, after.body]).toEqual([200, { ...before, updated_at: expect.any(String) }]);
  });
}
