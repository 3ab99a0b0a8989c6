/** Behind a proxy that ends TLS: the issuer is https, whatever the connection says, and cookies are bound to it. */
import * as oidc from "openid-client";
import { beforeAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, pkce, post } from "../support/grantor.ts";
import { expectErrorPage } from "../support/soundness.ts";
import { waitFor } from "../support/wait-for.ts";

const ISSUER = "https://id.example";
/** More than the other tests of this file need. */
const PER_MINUTE = 30;

describeFlows(
  "an https issuer",
  (flow) => {
    beforeAll(() => {
      // The proxy: what is sent to the issuer arrives at the server, in clear text and under another name.
      const { fetch: direct } = globalThis;
      globalThis.fetch = (input, init) => {
        const headers = new Headers(init?.headers);
        headers.set("X-Forwarded-For", "203.0.113.9");
        headers.set("X-Forwarded-Proto", "https");
        return direct(String(input).replace(ISSUER, flow.grantor.server.url), { ...init, headers });
      };
    });

    it("serves a whole code flow, with cookies for this host alone", async () => {
      const client = await flow.grantor.client();
      const person = await flow.grantor.person();
      const config = await oidc.discovery(new URL(ISSUER), client.client_id, client.client_secret);
      const verifier = oidc.randomPKCECodeVerifier();
      const parameters = {
        redirect_uri: client.redirect_uri,
        scope: "openid",
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      };
      const agent = new Agent();
      const url = oidc.buildAuthorizationUrl(config, parameters);
      expect(url.origin).toBe(ISSUER);
      const end = await authorize(agent, url.href, person);
      const tokens = await oidc.authorizationCodeGrant(config, new URL(end.url), { pkceCodeVerifier: verifier });
      expect(tokens.claims()).toMatchObject({ iss: ISSUER, sub: person.id });
      expect(await oidc.fetchUserInfo(config, tokens.access_token, person.id)).toEqual({ sub: person.id });
      expect(Object.keys(agent.cookiesFor(`${ISSUER}/`))).toEqual(
        expect.arrayContaining([
          "__Host-grantor_session",
          "__Host-grantor_session.sig",
          expect.stringMatching(/^__Host-grantor_csrf/),
          "__Host-grantor_device",
        ]),
      );
      const page = await agent.open(oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token as string }).href);
      expect((await agent.submit(page, { logout: "yes" })).url).toBe(`${ISSUER}/oauth/logout/success`);
      expect(Object.keys(agent.cookiesFor(`${ISSUER}/`))).not.toContain("__Host-grantor_session");
    });

    it("shows strangers no way to the portal, where who may register applications is not left to everybody", async () => {
      const home = await new Agent().open(`${ISSUER}/`);
      expect([home.status, home.text.includes('href="/sign-in"'), home.text.includes('href="/apps"')]).toEqual([200, true, false]);
    });

    it("sets every cookie Secure, HttpOnly and Lax, and tells browsers to keep to https", async () => {
      const client = await flow.grantor.client();
      const url = authorizationUrl(ISSUER, client, pkce());
      const begun = await fetch(url, { redirect: "manual" });
      const location = new URL(begun.headers.get("Location") as string, ISSUER);
      expect(location.origin).toBe(ISSUER);
      const page = await fetch(location, {
        headers: {
          Accept: "text/html",
          Cookie: begun.headers
            .getSetCookie()
            .map((line) => line.split(";")[0])
            .join("; "),
        },
      });
      expect(page.status).toBe(200);
      const lines = [...begun.headers.getSetCookie(), ...page.headers.getSetCookie()];
      expect(lines.length).toBeGreaterThanOrEqual(4);
      for (const line of lines) {
        expect(line).toMatch(/^__(?:Host|Secure)-grantor_/);
        for (const attribute of ["secure", "httponly", "samesite=lax"])
          expect([line, line.toLowerCase().includes(`; ${attribute}`)]).toEqual([line, true]);
        expect(line.toLowerCase()).not.toContain("domain=");
        if (line.startsWith("__Host-")) expect(line.toLowerCase()).toMatch(/; path=\/(?:;|$)/);
      }
      for (const { headers } of [begun, page, await fetch(`${ISSUER}/.well-known/jwks.json`)]) {
        expect(headers.get("Strict-Transport-Security")).toMatch(/^max-age=\d{7,}/);
        expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
      }
    });

    it("keeps only so much for strangers of one address, and whoever is signed in or has proved who they are goes on", async () => {
      const client = await flow.grantor.client({ firstParty: true });
      const [tv, page] = [await flow.grantor.client({ type: "device" }), await flow.grantor.client({ type: "spa" })];
      const person = await flow.grantor.person();
      const agent = new Agent();
      const url = authorizationUrl(ISSUER, client, pkce());
      await authorize(agent, url, person);
      /** Asks again and again: whoever may still leave something does so. */
      const refusal = <T extends { status: number }>(ask: () => Promise<T>) =>
        waitFor("the address to have had all that it may have", async () => {
          const answer = await ask();
          return answer.status === 429 ? answer : undefined;
        });
      const refused = await refusal(() => new Agent().open(url));
      await expectErrorPage(flow, refused, 429, "Wait");
      expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
      expect(refused.headers.getSetCookie()).toEqual([]);
      for (const path of ["/device", "/oauth/logout"]) await refusal(() => new Agent().open(ISSUER + path));
      const pushed = { ...Object.fromEntries(new URL(url).searchParams), client_id: page.client_id };
      for (const ask of [() => post(`${ISSUER}/oauth/device`, tv, { scope: "openid" }), () => post(`${ISSUER}/oauth/par`, page, pushed)]) {
        const answer = await refusal(ask);
        expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
        expect(await answer.json()).toMatchObject({ error: "temporarily_unavailable", error_description: expect.stringContaining("Wait") });
      }

      const { status } = await post(`${ISSUER}/oauth/par`, client, Object.fromEntries(new URL(url).searchParams));
      expect(status).toBe(201);
      expect(new URL((await agent.open(url)).url).searchParams.has("code")).toBe(true);
      const silent = await new Agent().open(authorizationUrl(ISSUER, client, pkce(), { prompt: "none" }));
      expect(new URL(silent.url).searchParams.get("error")).toBe("login_required");
    });

    it("believes the proxy about who asks", async () => {
      await fetch(`${ISSUER}/told-by-the-proxy`);
      const line = await waitFor("the request in the log", () =>
        flow.grantor.server
          .logs()
          .split("\n")
          .find((each) => each.includes('"/told-by-the-proxy"')),
      );
      expect(JSON.parse(line)).toMatchObject({ client: "203.0.113.9" });
    });
  },
  { env: { ISSUER, HOST: "127.0.0.1", TRUST_PROXY: "127.0.0.1", ANONYMOUS_REQUESTS_PER_MINUTE: `${PER_MINUTE}` } },
);
