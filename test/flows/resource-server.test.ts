/** `grantor/resource-server` with a real server; and what libraries see that know no status lists. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { auth } from "express-oauth2-jwt-bearer";
import { AccessTokenError, createVerifier, type Requirements, type Verifier } from "grantor/resource-server";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { proofKey, withNonce } from "../support/dpop.ts";
import { describeFlows } from "../support/flows.ts";
import { type Person, post, refresh, type SeededClient, signIn, type Tokens } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const AUDIENCE = "https://things.example";

describeFlows(
  "grantor/resource-server",
  (flow) => {
    let verifier: Verifier;
    let client: SeededClient;
    let person: Person;
    const listFetches: string[] = [];
    beforeAll(async () => {
      const { grantor } = flow;
      await grantor.resource(AUDIENCE, { name: "Things", scopes: ["things:read", "things:write"], includeRoles: true });
      client = await grantor.client({ metadata: { scope: "openid things:read" } });
      person = await grantor.person({ roles: ["clerk"] });
      verifier = createVerifier({
        issuer: grantor.url,
        audience: AUDIENCE,
        realm: "things",
        fetch: (url, init) => {
          if (url.includes("status-lists")) listFetches.push(url);
          return fetch(url, init);
        },
      });
    });

    const tokens = async (): Promise<Tokens> =>
      (await signIn(flow.grantor, client, person, { parameters: { scope: "openid things:read", resource: AUDIENCE } })).tokens;
    const outcome = (token: string, requirements: Requirements = {}): Promise<string> =>
      verifier.verify(token, requirements).then(
        () => "good",
        (error: unknown) => {
          if (error instanceof AccessTokenError) return `${error.code}: ${error.message}`;
          throw error;
        },
      );
    const REVOKED = "invalid_token: the access token was revoked";

    it("takes the token of a person, with what it says about scope, roles and sign-in", async () => {
      const { access_token: token } = await tokens();
      const claims = await verifier.verify(token, { scope: "things:read", roles: "clerk", maxAge: 60 });
      expect(claims).toMatchObject({ sub: person.id, client_id: client.client_id, aud: AUDIENCE, roles: ["clerk"] });
      expect(await verifier.verify(token, { acr: claims.acr as string })).toEqual(claims);
      expect(await outcome(token, { scope: "things:write" })).toContain("insufficient_scope");
      expect(await outcome(token, { roles: "admin" })).toContain("insufficient_scope");
      expect(await outcome(token, { acr: "urn:other" })).toContain("insufficient_user_authentication");
    });

    it("takes no token for another audience and no ID token", async () => {
      const { tokens: own } = await signIn(flow.grantor, client, person);
      expect(await outcome(own.access_token)).toBe("invalid_token: the access token is meant for another resource");
      expect(await outcome(own.id_token as string)).toContain("invalid_token");
    });

    it("sees that a token was revoked, and that its grant was, and fetches no list per request", async () => {
      const [first, second, third] = [await tokens(), await tokens(), await tokens()];
      for (const { access_token: token } of [first, second, third]) expect(await outcome(token)).toBe("good");
      const revoke = (token: string | undefined) => post(`${flow.grantor.url}/oauth/revoke`, client, { token: token ?? "" });
      expect((await revoke(first.access_token)).status).toBe(200);
      expect((await revoke(second.refresh_token)).status).toBe(200);
      for (const { access_token: token } of [first, second])
        await waitFor("the revocation", async () => (await outcome(token)) === REVOKED);
      expect(await outcome(third.access_token)).toBe("good");
      const refreshed = await refresh(flow.grantor, client, third.refresh_token as string, { resource: AUDIENCE });
      expect(await outcome(((await refreshed.json()) as Tokens).access_token)).toBe("good");

      const before = listFetches.length;
      const start = Date.now();
      for (let i = 0; i < 200; i++) await outcome(third.access_token);
      expect(listFetches.length - before).toBeLessThanOrEqual((Date.now() - start) / 1000 + 1);
    });

    it("takes a bound token with its proof alone", async () => {
      const service = await flow.grantor.client({ type: "service", metadata: { scope: "things:read", dpop_bound_access_tokens: true } });
      const key = await proofKey();
      const endpoint = `${flow.grantor.url}/oauth/token`;
      const asked = { grant_type: "client_credentials", scope: "things:read", resource: AUDIENCE };
      const { response } = await withNonce(async (nonce) =>
        post(endpoint, service, asked, { DPoP: await key.prove("POST", endpoint, { nonce }) }),
      );
      const { access_token: token, token_type: type } = (await response.json()) as Tokens;
      expect(type).toBe("DPoP");
      const request = async (scheme: string) =>
        new Request(`${AUDIENCE}/list?page=2`, {
          headers: { Authorization: `${scheme} ${token}`, DPoP: await key.prove("GET", `${AUDIENCE}/list`, { accessToken: token }) },
        });
      expect(await verifier.verify(await request("DPoP"), { dpop: true })).toMatchObject({
        client_id: service.client_id,
        cnf: { jkt: key.jkt },
      });
      await expect(verifier.verify(await request("Bearer"))).rejects.toMatchObject({ code: "invalid_token" });
      expect(await outcome(token)).toContain("needs a dpop proof");
    });

    describe("without status lists", () => {
      it("jose and express-oauth2-jwt-bearer take a token until it expires, as docs/resource-servers.md says", async () => {
        const app = express();
        app.use(auth({ issuerBaseURL: flow.grantor.url, audience: AUDIENCE, strict: true, tokenSigningAlg: "RS256" }));
        app.get("/", (_req, res) => void res.end());
        const server = createServer(app);
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const keys = createRemoteJWKSet(new URL(`${flow.grantor.url}/.well-known/jwks.json`));
        try {
          const { access_token: token } = await tokens();
          const ask = async (authorization: string) =>
            (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { headers: { Authorization: authorization } }))
              .status;
          const byJose = () =>
            jwtVerify(token, keys, {
              issuer: flow.grantor.url,
              audience: AUDIENCE,
              algorithms: ["RS256"],
              typ: "at+jwt",
              clockTolerance: 5,
            });
          expect([await ask(`Bearer ${token}`), await ask("Bearer abc")]).toEqual([200, 401]);
          await byJose();
          expect((await post(`${flow.grantor.url}/oauth/revoke`, client, { token })).status).toBe(200);
          await waitFor("the revocation", async () => (await outcome(token)) === REVOKED);
          expect(await ask(`Bearer ${token}`)).toBe(200);
          await byJose();
        } finally {
          server.closeAllConnections();
          server.close();
        }
      });
    });
  },
  { env: { STATUS_LIST_TTL: "1" } },
);
