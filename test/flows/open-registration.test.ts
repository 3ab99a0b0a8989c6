/** RFC 7591 where anybody may register: what strangers get, what of theirs is fetched and shown; and where nobody may. */
import { writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import * as oauth from "oauth4webapi";
import { afterAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, authorizationUrl, pkce, post, type SeededClient } from "../support/grantor.ts";
import { CALLBACK, manage, type Registered, seeded, send, WEB } from "../support/registered-clients.ts";
import { tempDir } from "../support/temp-dir.ts";

/** Where applications and issuers of software statements have what they name. */
const place = await openPlace();
afterAll(() => place.close());

describeFlows(
  "open registration",
  (flow) => {
    it("registers strangers, who get nothing of resources without a person", async () => {
      await flow.grantor.resource("https://open.example", { scopes: ["open:use"] });
      const register = () => answerOf(send(flow, { ...WEB, scope: "openid open:use" }));
      await expect.poll(register).toMatchObject({ status: 201, body: { scope: "openid open:use" } }); // once it has heard of the resource
      const service = { grant_types: ["client_credentials"], response_types: [], redirect_uris: [] };
      expect((await send(flow, service)).status).toBe(201);
      expect(await answerOf(send(flow, { ...service, scope: "open:use" }))).toMatchObject({
        status: 400,
        body: { error: "invalid_client_metadata" },
      });
    });

    it("gives them none by an update either, nor a token for a resource that has no scopes", async () => {
      await flow.grantor.resource("https://later.example", { scopes: ["later:use"] });
      await flow.grantor.resource("https://bare.example", {});
      const scope = "openid later:use";
      await expect.poll(async () => (await send(flow, { ...WEB, scope })).status).toBe(201);
      const client = (await answerOf(send(flow, { ...WEB, scope }))).body as Registered;
      const alone = { ...WEB, client_id: client.client_id, grant_types: ["authorization_code", "client_credentials"] };
      expect(await answerOf(manage(client, "PUT", { ...alone, scope }))).toMatchObject({
        status: 400,
        body: { error: "invalid_client_metadata" },
      });
      expect((await manage(client, "PUT", alone)).status).toBe(200);
      const ask = (as: SeededClient, resource: string) =>
        answerOf(post(`${flow.grantor.url}/oauth/token`, as, { grant_type: "client_credentials", resource }));
      for (const resource of ["https://later.example", "https://bare.example"])
        expect(await ask(seeded(client), resource)).toMatchObject({ status: 400, body: { error: "invalid_target" } });
      const service = await flow.grantor.client({ type: "service" });
      expect(await ask(service, "https://bare.example")).toMatchObject({ status: 200 });
    });

    it("ignores a token that is not needed", async () => {
      expect((await send(flow, WEB, "whatever")).status).toBe(201);
    });

    it("takes the word of an issuer that the operator trusts, through oauth4webapi as well", async () => {
      const software_statement = await place.statement({ client_name: "Stated by an issuer", software_id: "shop" });
      const as = { issuer: flow.grantor.url, registration_endpoint: `${flow.grantor.url}/oauth/register` };
      const answer = await oauth.dynamicClientRegistrationRequest(
        as,
        { ...WEB, software_statement },
        { [oauth.allowInsecureRequests]: true },
      );
      const client = await oauth.processDynamicClientRegistrationResponse(answer);
      expect(client).toMatchObject({ client_name: "Stated by an issuer", software_id: "shop", software_statement });
      const untrusted = await place.statement({ iss: "https://else.example" });
      expect(await answerOf(send(flow, { ...WEB, software_statement: untrusted }))).toMatchObject({
        status: 400,
        body: { error: "unapproved_software_statement" },
      });
      expect(await answerOf(send(flow, { ...WEB, software_statement: `${software_statement}x` }))).toMatchObject({
        status: 400,
        body: { error: "invalid_software_statement" },
      });
    });

    it("shows a logo from here, once somebody vouches for the application, and calls it unverified until then", async () => {
      const register = async (logo_uri: string) => (await answerOf(send(flow, { ...WEB, logo_uri }))).body as Registered;
      place.requests.length = 0;
      const client = await register(`${place.url}/logo.png`);
      const { services, url } = flow.grantor;
      const consent = async () => {
        const agent = new Agent();
        const page = await agent.open(authorizationUrl(url, seeded(client), pkce()));
        const { email, password } = await flow.grantor.person();
        const signedIn = await agent.proceed(await agent.submit(page, { email, password }));
        return [page, signedIn].map(({ text }) => ({
          logo: /src="(\/logos\/[^"]+)"/.exec(text)?.[1],
          warns: text.includes("Not verified."),
        }));
      };
      expect(await consent()).toEqual([
        { logo: undefined, warns: false },
        { logo: undefined, warns: true },
      ]);
      expect((await fetch(`${url}/logos/${client.client_id}`)).status).toBe(404);
      expect(place.requests).not.toContain("/logo.png");

      await services.clients.update(client.client_id, { verified: true });
      await expect.poll(async () => (await fetch(`${url}/logos/${client.client_id}`)).status).toBe(200);
      const [signIn, decision] = await consent();
      expect(decision).toEqual({ logo: signIn?.logo, warns: false });
      const logo = await fetch(`${url}${signIn?.logo}`);
      expect([...new Uint8Array(await logo.arrayBuffer())]).toEqual([...LOGO]);
      expect(Object.fromEntries(logo.headers)).toMatchObject({
        "content-type": "image/png",
        "x-content-type-options": "nosniff",
        "content-security-policy": expect.stringMatching(/^default-src 'none'.*sandbox$/),
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "public, max-age=86400",
      });
      const again = await fetch(`${url}${signIn?.logo}`, {
        headers: { "If-None-Match": String(logo.headers.get("etag")), "Cache-Control": "max-age=0" },
      });
      expect(again.status).toBe(304);
      expect((await fetch(`${url}${signIn?.logo}`, { method: "HEAD" })).status).toBe(200);
      expect(place.requests.filter((path) => path === "/logo.png")).toHaveLength(1);

      for (const bad of [`${place.url}/evil.svg`, `${place.url}/leads-on`, place.hidden]) {
        const { client_id } = await register(bad);
        await services.clients.update(client_id, { verified: true });
        await expect.poll(async () => (await fetch(`${url}/logos/${client_id}`)).status).toBe(200);
        const standIn = await fetch(`${url}/logos/${client_id}`);
        expect(standIn.headers.get("content-type")).toMatch(/^image\/svg\+xml/);
        expect(await standIn.text()).toContain(">R</text>");
      }
      expect(place.connections).toBe(0);
    });

    it("fetches keys from nowhere that only this server reaches", async () => {
      const { port } = new URL(place.hidden);
      for (const host of ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]"]) {
        const metadata = { ...WEB, token_endpoint_auth_method: "private_key_jwt", jwks_uri: `https://${host}:${port}/jwks` };
        const client = (await answerOf(send(flow, metadata))).body as Registered;
        const { privateKey } = await generateKeyPair("RS256");
        const client_assertion = await new SignJWT({ jti: `${Math.random()}` })
          .setProtectedHeader({ alg: "RS256" })
          .setIssuer(client.client_id)
          .setSubject(client.client_id)
          .setAudience(flow.grantor.url)
          .setIssuedAt()
          .setExpirationTime("1m")
          .sign(privateKey);
        const body = new URLSearchParams({
          grant_type: "authorization_code",
          code: "x",
          redirect_uri: CALLBACK,
          client_assertion,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        });
        const { status, body: answer } = await answerOf(fetch(`${flow.grantor.url}/oauth/token`, { method: "POST", body }));
        expect([host, status, answer.error]).toEqual([host, 401, "invalid_client"]);
      }
      expect(place.connections).toBe(0);
    });

    // The last one: nobody at this address registers anything for the rest of the hour.
    it("takes a hundred an hour from one address", async () => {
      const tries = async () => (await Promise.all(Array.from({ length: 20 }, () => send(flow, "{")))).map(({ status }) => status);
      await expect.poll(async () => (await tries()).at(-1)).toBe(429);
      const refused = await send(flow, WEB);
      expect([refused.status, Number(refused.headers.get("Retry-After")) > 0]).toEqual([429, true]);
      expect(await refused.json()).toMatchObject({ error: "too_many_attempts" });
    });
  },
  { env: async () => ({ REGISTRATION: "open", SOFTWARE_STATEMENT_ISSUERS_FILE: place.issuersFile, FETCH_ALLOW: new URL(place.url).host }) },
);

describeFlows(
  "closed registration",
  (flow) => {
    it("is not there, and not announced", async () => {
      const metadata = (await (await fetch(`${flow.grantor.url}/.well-known/openid-configuration`)).json()) as Record<string, unknown>;
      expect(metadata).not.toHaveProperty("registration_endpoint");
      const { token } = await flow.grantor.services.registrationTokens.createInitial();
      expect((await send(flow, WEB, token)).status).toBe(404);
      const client = await flow.grantor.client();
      expect(
        (await fetch(`${flow.grantor.url}/oauth/register/${client.client_id}`, { headers: { Authorization: `Bearer ${token}` } })).status,
      ).toBe(404);
    });
  },
  { env: { REGISTRATION: "closed" } },
);

/** One pixel. */
const LOGO = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "base64");

/** A server that FETCH_ALLOW names, and one that it does not. */
async function openPlace() {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" };
  const requests: string[] = [];
  let connections = 0;
  const allowed = await listening((request, response) => {
    requests.push(String(request.url));
    if (request.url === "/jwks") response.end(JSON.stringify({ keys: [key] }));
    else if (request.url === "/logo.png") response.end(LOGO);
    else if (request.url === "/leads-on") response.writeHead(302, { Location: hidden.url }).end();
    else response.setHeader("Content-Type", "image/png").end("<svg onload='alert(1)'/>");
  });
  const hidden = await listening((_request, response) => void response.end(LOGO));
  hidden.server.on("connection", () => {
    connections += 1;
  });
  const dir = tempDir("issuers");
  const issuersFile = join(dir.path, "issuers.json");
  writeFileSync(issuersFile, JSON.stringify({ issuers: [{ issuer: "https://issuer.example", jwks_uri: `${allowed.url}/jwks` }] }));
  return {
    url: allowed.url,
    hidden: hidden.url,
    issuersFile,
    requests,
    get connections() {
      return connections;
    },
    statement: (claims: Record<string, unknown>) =>
      new SignJWT({ iss: "https://issuer.example", ...claims }).setProtectedHeader({ alg: "ES256", kid: "k" }).sign(privateKey),
    close() {
      allowed.server.close();
      hidden.server.close();
      dir.remove();
    },
  };
}

async function listening(handle: RequestListener) {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, resolve));
  return { server, url: `http://localhost:${(server.address() as AddressInfo).port}` };
}
