/** What operators do beside the pages: what their tools read on OPS_PORT, and what they carry from one server to another. */
import { randomBytes } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateSync } from "otplib";
import { expect, it } from "vitest";
import { sealTotpSecret } from "../../src/factors/totp.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { deriveKeys } from "../../src/secrets.ts";
import { openDatabase } from "../../src/storage/database.ts";
import { createSealer } from "../../src/storage/seal.ts";
import { Agent } from "../support/agent.ts";
import { grantor, grantorJson } from "../support/command-line.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, pkce, post, redeem, refresh, type SeededClient, signIn } from "../support/grantor.ts";
import { freePort } from "../support/ports.ts";
import { noteSecret, secretsIn } from "../support/secrets-watch.ts";
import { stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";

const PASSWORD = "correct horse battery staple";

describeFlows(
  "operating",
  (flow) => {
    const ops = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${flow.grantor.server.env.OPS_PORT}${path}`, init);
    /** Of every sample: its name and labels, as they are written, and its value. */
    async function samples(): Promise<Map<string, number>> {
      const lines = (await (await ops("/metrics")).text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
    }

    it("counts tokens, refusals, sign-ins and what people decide", async () => {
      const before = await samples();
      const grown = async (name: string) => ((await samples()).get(name) ?? 0) - (before.get(name) ?? 0);
      const client = await flow.grantor.client({ metadata: { client_name: "Counted" } });
      const person = await flow.grantor.person();
      const { tokens } = await signIn(flow.grantor, client, person);
      expect((await refresh(flow.grantor, client, tokens.refresh_token ?? "")).status).toBe(200);
      expect((await refresh(flow.grantor, client, "nothing")).status).toBe(400);
      await fetch(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }), { redirect: "manual" });
      const agent = new Agent();
      await authorize(agent, authorizationUrl(flow.grantor.url, client, pkce()), { ...person, password: "wrong-wrong-wrong" });

      for (const [name, by] of [
        ['grantor_tokens_issued_total{grant_type="authorization_code",kind="access_token"}', 1],
        ['grantor_tokens_issued_total{grant_type="authorization_code",kind="id_token"}', 1],
        ['grantor_tokens_issued_total{grant_type="refresh_token",kind="refresh_token"}', 1],
        ['grantor_requests_refused_total{endpoint="token",error="invalid_grant"}', 1],
        ['grantor_requests_refused_total{endpoint="authorization",error="login_required"}', 1],
        ['grantor_sign_ins_total{outcome="success",method="pwd"}', 1],
        ['grantor_consent_decisions_total{decision="allowed"}', 1],
        ['grantor_http_requests_total{method="POST",route="/oauth/token",status="200"}', 2],
        ['grantor_http_request_duration_seconds_count{method="POST",route="/oauth/token"}', 3],
      ] as const)
        expect.soft([name, await grown(name)]).toEqual([name, by]);
      expect(await grown('grantor_record_store_duration_seconds_count{operation="commit"}')).toBeGreaterThan(2);
      expect(await grown("grantor_sql_duration_seconds_count")).toBeGreaterThan(0);
      const now = await samples();
      expect(now.get('grantor_signing_key_age_seconds{alg="RS256",state="current"}')).toBeGreaterThan(0);
      expect(now.get('grantor_sql_connections{state="idle"}')).toBeGreaterThanOrEqual(0);
      expect(now.get("grantor_mail_waiting")).toBe(0);
    });

    it("has labels of its own choice alone, whatever is sent", async () => {
      const strange = "zq81-strange-zq81";
      const { url } = flow.grantor;
      for (const path of [
        `/${strange}`,
        `/oauth/${strange}`,
        `/oauth/authorize/${strange}`,
        `/interaction/${strange}`,
        `/assets/${strange}`,
      ])
        await fetch(url + path, { redirect: "manual" });
      for (const path of [`/oauth/authorize?client_id=${strange}`, `/oauth/status-lists/${strange}`, `/federation/${strange}/callback`])
        await fetch(url + path, { redirect: "manual" });
      for (const method of ["PROPFIND", "PURGE", "LINK"]) await fetch(`${url}/oauth/token`, { method });
      const stranger: SeededClient = { client_id: strange, client_secret: "zq81-no-secret", redirect_uri: "https://x.example" };
      for (const grant_type of [strange, "authorization_code"])
        await post(`${url}/oauth/token`, stranger, { grant_type, code: "zq81-no-code" });
      const client = await flow.grantor.client({ type: "service" });
      await post(`${url}/oauth/token`, client, {
        grant_type: "client_credentials",
        scope: strange,
        resource: `https://${strange}.example`,
      });

      const names = [...(await samples()).keys()];
      expect(names.filter((name) => name.includes("zq81") || name.includes(client.client_id))).toEqual([]);
      const routes = names.flatMap((name) => /route="([^"]*)"/.exec(name)?.[1] ?? []);
      expect([...new Set(routes)].filter((route) => !/^(?:other|(?:\/(?::?[a-z_]+|[a-z_.-]+))+|\/)$/.test(route))).toEqual([]);
      const methods = new Set(names.flatMap((name) => /http_requests_total.*method="([^"]*)"/.exec(name)?.[1] ?? []));
      expect(
        [...methods].filter((method) => !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"].includes(method)),
      ).toEqual([]);
      expect(methods).toContain("other");
    });

    it("serves metrics and health on OPS_PORT alone, and nothing else there", async () => {
      expect((await fetch(`${flow.grantor.url}/metrics`)).status).toBe(404);
      const metrics = await ops("/metrics");
      expect([metrics.status, metrics.headers.get("Content-Type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
      const text = await metrics.text();
      expect(text).toContain("nodejs_eventloop_lag_p99_seconds");
      expect(secretsIn(text)).toEqual([]);
      expect(await (await ops("/health/live")).json()).toEqual({ status: "live" });
      expect(await (await ops("/health/ready")).json()).toMatchObject({ status: "ready", checks: { database: "up", sessions: "up" } });
      expect([(await ops("/metrics", { method: "HEAD" })).status, (await ops("/metrics", { method: "POST" })).status]).toEqual([200, 405]);
      for (const path of ["/", "/oauth/token", "/metrics/", "/Metrics", "/.well-known/jwks.json"])
        expect((await ops(path)).status).toBe(404);
    });

    it("carries people and applications from one server to another, who sign in there as before", async () => {
      await using dir = tempDirectory();
      const source = await stores[0].open();
      const env = {
        ...source.env,
        PATH: "",
        SECRET_KEY: randomBytes(32).toString("hex"),
        ISSUER: "https://old.example",
        DATA_DIR: join(dir.path, "data"),
      };
      const email = `carried-${randomBytes(4).toString("hex")}@example.org`;
      const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
      noteSecret(secret);
      const redirect_uri = "https://app.example/callback";
      const account = await grantorJson<{ sub: string }>(env, [
        "account",
        "create",
        "--email",
        email,
        "--password",
        PASSWORD,
        "--role",
        "staff",
      ]);
      const made = await grantorJson<{ client_id: string; client_secret: string }>(env, [
        "client",
        "create",
        "--name",
        "Carried",
        "--type",
        "web",
        "--redirect-uri",
        redirect_uri,
      ]);
      noteSecret(made.client_secret);
      await addTotp(source.databaseUrl, env.SECRET_KEY, account.sub, secret);

      const [passphrase, file] = [join(dir.path, "passphrase"), join(dir.path, "export.jsonl")];
      writeFileSync(passphrase, "a passphrase of nobody\n");
      const withSecrets = ["--with-secrets", "--passphrase-file", passphrase];
      expect(await grantorJson(env, ["export", file, ...withSecrets])).toMatchObject({ exported: { roles: 2, clients: 1, accounts: 1 } });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(secretsIn(readFileSync(file, "utf8"))).toEqual([]);
      expect((await grantor(env, ["export", file])).stderr).toContain("is there already");
      const plain = await grantor(env, ["export", "--only", "accounts"]);
      expect(plain.stdout.trimEnd().split("\n")).toHaveLength(3);
      expect(plain.stderr).toContain("authenticator apps of accounts: 1");
      expect(secretsIn(plain.stdout + plain.stderr)).toEqual([]);

      const target = flow.grantor.server.env;
      const importing = ["import", file, "--passphrase-file", passphrase];
      expect(await grantorJson(target, ["import", file, "--dry-run"])).toMatchObject({
        dry_run: true,
        imported: { accounts: { created: 1 } },
      });
      expect(await grantorJson(target, importing)).toMatchObject({
        from: "https://old.example",
        imported: { accounts: { created: 1 }, clients: { created: 1 } },
      });
      expect(await grantorJson(target, ["import", file])).toMatchObject({
        imported: { accounts: { created: 0, unchanged: 1 }, clients: { unchanged: 1 } },
      });

      const client: SeededClient = { ...made, redirect_uri };
      const agent = new Agent();
      const proof = pkce();
      const second = await authorize(agent, authorizationUrl(flow.grantor.url, client, proof), {
        id: account.sub,
        email,
        password: PASSWORD,
      });
      expect(new URL(second.url).pathname).toMatch(/\/second-factor$/);
      const code = generateSync({ secret, epoch: Math.floor(Date.now() / 1000) });
      let page = await agent.proceed(
        await agent.submit(
          second,
          { code },
          second.forms.findIndex(({ fields }) => "code" in fields),
        ),
      );
      page = await agent.submit(page, { decision: "allow" }, page.forms.length - 1);
      const answer = await redeem(flow.grantor, client, new URL(page.url).searchParams.get("code") ?? "", proof);
      expect(answer.status).toBe(200);

      const events = await flow.grantor.services.database.prisma.auditEvent.findMany({ where: { event: "data.imported" } });
      expect(events[0]).toMatchObject({
        actor: "operator",
        detail: { accounts: 1, clients: 1, from: "https://old.example", secrets: true },
      });

      // What an import changes for somebody they hear of as if it had been ordered.
      expect((await flow.grantor.kept()).mails).not.toContain(email);
      const unverified = join(dir.path, "unverified.jsonl");
      writeFileSync(unverified, plain.stdout.replace('"emailVerified":true', '"emailVerified":false'));
      await grantorJson(target, ["import", unverified, "--on-conflict", "replace"]);
      expect((await flow.grantor.kept()).mails).toContain(`To: ${email}`);
      await source.close();
    });
  },
  { env: async () => ({ OPS_PORT: `${await freePort()}` }) },
);

function tempDirectory() {
  const dir = tempDir("operating");
  return { path: dir.path, [Symbol.asyncDispose]: async () => dir.remove() };
}

async function addTotp(databaseUrl: string, secretKey: string, accountId: string, secret: string): Promise<void> {
  const database = await openDatabase({ dataDir: "", embeddedDatabase: false }, { databaseUrl }, createLogger({ logLevel: "silent" }));
  const secrets = { databaseUrl, redisUrl: undefined, smtpUrl: undefined, secretKeys: [Buffer.from(secretKey)] };
  const sealer = createSealer(deriveKeys(secrets, "grantor/totp"));
  await database.prisma.credential.create({ data: { accountId, kind: "totp", secret: sealTotpSecret(sealer, accountId, secret) } });
  await database.close();
}
