import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import Provider from "oidc-provider";
import { afterEach, describe, expect, test } from "vitest";
import { handleErrors } from "../../src/http/errors.ts";
import { pinIssuer } from "../../src/http/pin-issuer.ts";
import { requestContext } from "../../src/http/request-context.ts";
import { securityHeaders } from "../../src/http/security-headers.ts";
import { createLogger } from "../../src/observability/logger.ts";
import { type Host, startHost } from "../support/host.ts";
import { samples } from "../support/page-samples.ts";

let host: Host;
afterEach(() => host.close());

async function start(issuer?: string): Promise<Host> {
  host = await startHost({
    ...(issuer ? { issuer } : {}),
    routes: ({ render }) => [
      (ctx) => {
        const sample = samples[ctx.path.slice(1)];
        if (sample) render(ctx, sample.view, sample.model as never);
        else ctx.body = { ok: true };
      },
    ],
  });
  return host;
}

const policy = (text: string | string[] | undefined): Record<string, string> =>
  Object.fromEntries(
    String(text)
      .split(";")
      .map((directive) => {
        const [name = "", ...values] = directive.trim().split(" ");
        return [name, values.join(" ")];
      }),
  );

describe("answers that are no page", () => {
  test("get the constant set", async () => {
    await start("https://auth.example");
    const { headers } = await host.send("/json");
    expect(headers).toMatchObject({
      "content-security-policy": "default-src 'none'; script-src; base-uri 'none'; frame-ancestors 'none'",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "strict-transport-security": "max-age=31536000",
    });
  });

  test("no HSTS on a loopback http issuer", async () => {
    await start();
    expect((await host.send("/json")).headers["strict-transport-security"]).toBeUndefined();
  });
});

describe("pages", () => {
  test("have a strict policy with a nonce of their own", async () => {
    await start();
    const [one, two] = [await host.send("/account"), await host.send("/account")];
    const first = policy(one.headers["content-security-policy"]);
    expect(first).toMatchObject({
      "default-src": "'none'",
      "style-src": "'self'",
      "img-src": "'self' data:",
      "base-uri": "'none'",
      "frame-ancestors": "'none'",
      "form-action": "'self'",
    });
    const nonce = /^'nonce-([\w+/]{22}==)'$/.exec(first["script-src"] ?? "")?.[1] as string;
    expect(one.text).toContain(`nonce="${nonce}"`);
    expect(two.headers["content-security-policy"]).not.toBe(one.headers["content-security-policy"]);
    expect(one.headers["x-frame-options"]).toBe("DENY");
    expect(one.headers["permissions-policy"]).toContain("camera=()");
    expect(one.headers["cross-origin-opener-policy"]).toBe("same-origin");
    expect(one.headers["cache-control"]).toBe("no-store");
  });

  test.each(["login", "consent", "logout"])("%s lets its form end at a client and stays in a popup's window", async (name) => {
    await start();
    const { headers } = await host.send(`/${name}`);
    expect(policy(headers["content-security-policy"])).not.toHaveProperty("form-action");
    expect(headers["cross-origin-opener-policy"]).toBeUndefined();
  });

  test("no page has inline styles, inline handlers or a script without the nonce", async () => {
    await start();
    for (const name of Object.keys(samples)) {
      const { text, status } = await host.send(`/${name}`);
      expect(status, name).toBe(200);
      expect(text, name).not.toMatch(/\sstyle=|\son\w+=|<style/i);
      for (const script of text.match(/<script[^>]*>/g) ?? []) expect(script, name).toContain("nonce=");
    }
  });
});

test("every template has a sample", () => {
  const views = readdirSync(new URL("../../views", import.meta.url), { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ejs") && name !== "layout.ejs" && !name.startsWith("parts"),
  );
  expect(views.map((name) => name.replace(".ejs", "")).toSorted()).toEqual(
    [...new Set(Object.values(samples).map(({ view }) => view))].toSorted(),
  );
});

test("the engine's form_post page runs its one script", async () => {
  await start();
  const issuer = "https://auth.example";
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "rp",
        token_endpoint_auth_method: "none",
        redirect_uris: ["https://rp.example/cb"],
        grant_types: ["authorization_code"],
      },
    ],
    cookies: { keys: ["key"] },
  });
  pinIssuer(provider, issuer);
  const log = createLogger({ logLevel: "silent" });
  provider
    .use(requestContext({ log, trustProxy: [] }))
    .use(securityHeaders({ https: true }))
    .use(handleErrors(host.render));
  const server = provider.listen(0);
  try {
    const { port } = server.address() as { port: number };
    const query = new URLSearchParams({
      client_id: "rp",
      response_type: "code",
      scope: "openid",
      response_mode: "form_post",
      prompt: "none",
      redirect_uri: "https://rp.example/cb",
    });
    query.set("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    query.set("code_challenge_method", "S256");
    const answer = await fetch(`http://127.0.0.1:${port}/auth?${query}`, { headers: { Accept: "text/html" } });
    const text = await answer.text();
    const script = /<script>([\s\S]*?)<\/script>/.exec(text)?.[1] as string;
    expect(text).toContain('action="https://rp.example/cb"');
    const sent = policy(answer.headers.get("content-security-policy") ?? "");
    expect(sent["script-src"]).toBe(`'sha256-${createHash("sha256").update(script).digest("base64")}'`);
    expect(sent).not.toHaveProperty("form-action");
    expect(sent["frame-ancestors"]).toBe("'none'");

    const metadata = await fetch(`http://127.0.0.1:${port}/.well-known/openid-configuration`, {
      headers: { "X-Forwarded-Host": "evil.example" },
    });
    expect(await metadata.text()).not.toContain("127.0.0.1");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
