/** The audit log of a running server: what it hears of, that it is sealed by itself, and what operators do with it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuditTrail, type PastEvent } from "../../src/observability/audit-trail.ts";
import { grantor, grantorJson } from "../support/command-line.ts";
import { describeFlows } from "../support/flows.ts";
import { type Person, post, refresh, type SeededClient, signIn, type Tokens } from "../support/grantor.ts";
import { type ManagementApi, managementApi } from "../support/management-api.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

describeFlows(
  "audit log",
  (flow) => {
    let api: ManagementApi;
    let client: SeededClient;
    let person: Person;
    let dir: TempDir;
    const command = (...args: string[]) => grantor(flow.grantor.server.env, ["audit", ...args]);
    const events = async (filter: Parameters<ReturnType<typeof createAuditTrail>["search"]>[0]): Promise<PastEvent[]> =>
      (await createAuditTrail(flow.grantor.services.database.pool).search(filter, { limit: 50 })).events;
    const recorded = (filter: Parameters<typeof events>[0]) =>
      waitFor("the event to be recorded", async () => {
        const found = await events(filter);
        return found.length > 0 && found;
      });

    beforeAll(async () => {
      dir = tempDir("audit");
      api = await managementApi(flow.grantor);
      client = await flow.grantor.client();
      person = await flow.grantor.person();
    });
    afterAll(() => dir.remove());

    it("hears of clients that fail to show who they are, once for all of them", async () => {
      const { client_id } = client;
      const ask = (as: SeededClient) => post(`${flow.grantor.url}/oauth/token`, as, { grant_type: "refresh_token", refresh_token: "none" });
      for (let i = 0; i < 5; i++) expect((await ask({ ...client, client_secret: "wrong-secret-of-a-client" })).status).toBe(401);
      expect((await ask({ ...client, client_id: "nobody-knows-it", client_secret: "wrong-secret-of-a-client" })).status).toBe(401);
      const [failed] = await recorded({ prefix: "client.authentication_failed", clientId: client_id });
      expect(failed).toMatchObject({ outcome: "failure", actor: undefined, address: "127.0.0.1", detail: { endpoint: "grant" } });
      const all = await waitFor("both", async () => {
        const found = await events({ prefix: "client.authentication_failed" });
        return found.length === 2 && found;
      });
      expect(all.map(({ clientId }) => clientId).sort()).toEqual([client_id, undefined].sort());
    });

    it("hears of sign-in, consent, revocation, reuse and sign-out, with who, from where and through what", async () => {
      const { tokens, agent } = await signIn(flow.grantor, client, person);
      const next = (await (await refresh(flow.grantor, client, tokens.refresh_token as string)).json()) as Tokens;
      await post(`${flow.grantor.url}/oauth/revoke`, client, { token: next.access_token });
      await flow.later(60, () => refresh(flow.grantor, client, tokens.refresh_token as string)); // past the time of a repetition
      await agent.submit(await agent.open(`${flow.grantor.url}/oauth/logout`), { logout: "yes" });
      const { id: accountId } = person;
      await recorded({ prefix: "sign_out", accountId });
      const found = (await events({ accountId })).map(({ event, outcome, actor, clientId, address }) => [
        event,
        outcome,
        actor,
        clientId,
        address,
      ]);
      const from = "127.0.0.1";
      expect(found).toEqual([
        // The server's clock was ahead then.
        ["grant.replayed", "failure", undefined, client.client_id, from],
        ["sign_out", "success", accountId, undefined, from],
        ["token.revoked", "success", client.client_id, client.client_id, from],
        ["consent", "success", accountId, client.client_id, from],
        ["sign_in", "success", accountId, client.client_id, from],
      ]);
    });

    it("is sealed by itself, checked and exported by the command line, and no SQL of the application changes it", async () => {
      const { pool } = flow.grantor.services.database;
      await waitFor("everything is sealed", async () => (await events({})).every(({ batch }) => batch !== undefined));
      const logged = join(dir.path, "log");
      writeFileSync(logged, flow.grantor.server.logs());
      expect(await grantorJson(flow.grantor.server.env, ["audit", "verify", "--checkpoint", logged])).toMatchObject({ holds: true });
      const kept = join(dir.path, "kept");
      writeFileSync(kept, (await command("checkpoint")).stdout);
      expect(await grantorJson(flow.grantor.server.env, ["audit", "verify", "--checkpoint", kept])).toMatchObject({ holds: true });
      const file = join(dir.path, "export.jsonl");
      writeFileSync(file, (await command("export")).stdout);
      expect((await command("verify", "--export", file, "--checkpoint", kept)).stdout).toContain("The chain holds.");
      for (const sql of ["UPDATE audit_event SET actor = 'x'", "DELETE FROM audit_event", "UPDATE audit_batch SET hash = ''"])
        await expect(pool.query(sql), sql).rejects.toThrow("append-only");
      const [{ id }] = (await events({ prefix: "sign_in" })) as [PastEvent];
      expect((await command("show", id)).stdout).toContain("sign_in");
      expect((await command("show", "0")).stderr).toContain("no event 0");
      const { events: listed, next } = await grantorJson<{ events: unknown[]; next: string }>(flow.grantor.server.env, [
        ...["audit", "list", "--account", person.email, "--outcome", "success", "--limit", "1"],
      ]);
      expect([listed.length, typeof next]).toEqual([1, "string"]);
      expect((await command("checkpoints")).stdout).toContain("eyJ");
    });

    it("is searched, exported and signed by the API", async () => {
      const search = async (query: string) => (await api.call("GET", `/audit/events?${query}`)).body;
      const first = await search(`account_id=${person.id}&limit=2`);
      expect(first.items).toMatchObject([{ event: "grant.replayed" }, { event: "sign_out" }]);
      const second = await search(`account_id=${person.id}&limit=2&cursor=${encodeURIComponent(first.next)}`);
      expect(second.items).toMatchObject([{ event: "token.revoked" }, { event: "consent" }]);
      expect((await search(`event=sign_&account_id=${person.id}&address=127.0.0.1`)).items).toHaveLength(2);
      expect((await search(`until=2020-01-01T00:00:00Z`)).items).toEqual([]);
      const [{ event_id }] = first.items;
      expect((await api.call("GET", `/audit/events/${event_id}`)).body).toEqual(first.items[0]);
      const { body: signed } = await api.call("POST", "/audit/checkpoints");
      expect((await api.call("GET", "/audit/checkpoints?limit=1")).body.items).toEqual([signed]);
      const { body: lines, headers } = await api.call("GET", "/audit/export");
      expect(headers.get("content-type")).toContain("application/jsonl");
      const file = join(dir.path, "api.jsonl");
      writeFileSync(file, lines);
      expect((await command("verify", "--export", file)).stdout).toContain("The chain holds.");
    });

    it("forgets addresses and details of a person on demand, who still reads what happened; the chain holds", async () => {
      const { agent } = await signIn(flow.grantor, client, person);
      const { status, body } = await api.call("POST", "/audit/erasures", { body: { account_id: person.id } });
      expect([status, body.events >= 5]).toEqual([200, true]);
      for (const event of (await events({ accountId: person.id })).filter(({ erasedAt }) => erasedAt !== undefined))
        expect(event).toMatchObject({ address: undefined, detail: {} });
      expect((await api.call("POST", "/audit/erasures", { body: { account_id: "nobody" } })).status).toBe(404);
      const page = await agent.open(`${flow.grantor.url}/account/events`);
      expect([page.status, page.text.includes("You signed out")]).toEqual([200, true]);
      expect((await command("verify")).stdout).toContain("The chain holds.");
    });
  },
  { env: { AUDIT_SEAL_INTERVAL: "1" } },
);
