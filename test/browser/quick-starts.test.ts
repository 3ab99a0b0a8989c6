/** Quick starts as a developer meets them: copied from their pages, run unchanged, and used in Chromium. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Agent } from "../support/agent.ts";
import { launch } from "../support/chromium.ts";
import { authorize, type Grantor, type Person, post, startGrantor } from "../support/grantor.ts";
import type { GuardedProcess } from "../support/guarded-process.ts";
import { freePort } from "../support/ports.ts";
import { findProgram } from "../support/programs.ts";
import { type CopiedQuickStart, copyQuickStart, startNodeQuickStart } from "../support/quick-start.ts";
import { type Stores, stores } from "../support/stores.ts";
import { tempDir } from "../support/temp-dir.ts";
import { waitFor } from "../support/wait-for.ts";

const dir = tempDir("quick-starts");
let backing: Stores;
let grantor: Grantor;
let browser: Browser;
let developer: BrowserContext;
let page: Page;
let owner: Person;
let running: GuardedProcess[] = [];
let scripts: ChildProcess[] = [];

beforeAll(async () => {
  backing = await stores[1].open();
  grantor = await startGrantor(backing);
  browser = await launch();
  owner = await grantor.person({ name: "Grace Hopper" });
  developer = await browser.newContext();
  page = await developer.newPage();
  await page.goto(`${grantor.url}/sign-in?return_to=/apps`);
  await signIn(page, owner);
  await page.waitForURL(`${grantor.url}/apps`);
});
afterEach(async () => {
  const ending = running;
  running = [];
  for (const program of ending) program.signal("SIGKILL");
  for (const script of scripts) script.kill("SIGKILL");
  scripts = [];
  await Promise.all(ending.map(({ exited }) => exited));
});
afterAll(async () => {
  await browser?.close();
  await grantor?.[Symbol.asyncDispose]();
  await backing?.close();
  dir.remove();
});

async function signIn(at: Page, { email, password }: Person): Promise<void> {
  await at.getByLabel("E-mail address").fill(email);
  await at.getByLabel("Password", { exact: true }).fill(password);
  await at.getByRole("button", { name: "Sign in", exact: true }).click();
}

interface Registered {
  client_id: string;
  client_secret?: string;
}

const KINDS = {
  web: "Web application",
  spa: "Single-page app",
  native: "Native app",
  service: "Machine to machine",
  device: "Device",
} as const;

/** Through the portal: the wizard, and then the box of the API that the application calls. */
async function register(
  kind: keyof typeof KINDS,
  { redirectUris, home, scope }: { redirectUris?: string[]; home?: string; scope?: string } = {},
): Promise<Registered> {
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  await page.goto(`${grantor.url}/apps/new`);
  await page.getByRole("link", { name: KINDS[kind], exact: true }).click();
  await page.getByLabel("Name", { exact: true }).fill("Quick");
  if (redirectUris) await page.locator('[name="redirect_uris"]').fill(redirectUris.join("\n"));
  if (home) await page.locator('[name="post_logout_redirect_uris"]').fill(home);
  if (kind === "service" && scope) await page.locator(`[name="scope:${scope}"]`).check();
  await press("Register it");
  await page.getByRole("heading", { name: "Quick is registered" }).waitFor();
  const client_id = await page.getByLabel("Client ID").inputValue();
  const secret = page.getByLabel("Client secret");
  const client_secret = (await secret.count()) === 0 ? undefined : await secret.inputValue();
  if (kind !== "service" && scope) {
    await page.goto(`${grantor.url}/apps/${client_id}/scopes`);
    await page.locator(`[name="scope:${scope}"]`).check();
    await press("Save");
    await page.getByText("Saved.").waitFor();
  }
  return { client_id, ...(client_secret !== undefined && { client_secret }) };
}

/** An API at an address of its own. Its tokens live so shortly that every call is made with a refreshed one. */
async function registerApi(): Promise<{ audience: string; scope: string }> {
  const port = await freePort();
  const [audience, scope] = [`http://localhost:${port}`, `things${port}:read`];
  await grantor.resource(audience, { name: "Things", scopes: [scope], accessTokenTtl: 10 });
  return { audience, scope };
}

/** From the list of quick starts to one of them, and what stands there. */
async function copy({ client_id }: Registered, name: string): Promise<CopiedQuickStart> {
  await page.goto(`${grantor.url}/apps/${client_id}/quick-starts`);
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
  return copyQuickStart(page, join(dir.path, client_id, name.replaceAll(" ", "-")));
}

async function start(quickStart: CopiedQuickStart, env: Record<string, string> = {}): Promise<GuardedProcess> {
  const program = await startNodeQuickStart(quickStart, env);
  running.push(program);
  return program;
}

const secretOf = ({ client_secret }: Registered): Record<string, string> =>
  client_secret === undefined ? {} : { CLIENT_SECRET: client_secret };

describe.each([
  { name: "Node.js with Express", type: "web", path: "/callback", api: "An API in Node.js with Express" },
  { name: "Node.js with Koa", type: "web", path: "/signed-in/here", api: "An API in Node.js with Koa" },
  { name: "Auth.js with Express", type: "web", path: "/auth/callback/grantor", api: "An API in Node.js with Koa" },
  { name: "JavaScript in the browser", type: "spa", path: "/callback", api: "An API in Node.js with Express" },
] as const)("$name", ({ name, type, path, api: apiName }) => {
  test("signs in, shows the claims, calls its API with a token that is refreshed, and signs out", async () => {
    const { scope } = await registerApi();
    const origin = `http://localhost:${await freePort()}`;
    const client = await register(type, {
      redirectUris: ["https://production.example/callback", origin + path],
      home: `${origin}/`,
      scope,
    });
    const program = await copy(client, name);
    expect(program.missing).toBe("");
    expect(program.secrets).toEqual(type === "web" ? ["CLIENT_SECRET"] : []);
    expect(program.run).toBe("npm start");
    await start(await copy(client, apiName));
    await start(program, secretOf(client));

    const person = await grantor.person({ name: "Ada <b>Lovelace</b>" });
    const visitor = await browser.newContext();
    try {
      const app = await visitor.newPage();
      const press = (label: string) =>
        app
          .getByRole("link", { name: label })
          .or(app.getByRole("button", { name: label }))
          .click();
      const tokenRequests = () => grantor.server.logs().split('"POST","path":"/oauth/token"').length - 1;
      const before = tokenRequests();
      await app.goto(origin);
      await press("Sign in");
      // Auth.js has a page of its own between.
      if (name.startsWith("Auth.js")) await press("Sign in with Grantor");
      await app.waitForURL(`${grantor.url}/interaction/**`);
      await signIn(app, person);
      await app.getByRole("button", { name: "Allow", exact: true }).click();
      await app.getByRole("heading", { name: "Signed in" }).waitFor();
      expect(new URL(app.url()).search).toBe("");
      const claims = JSON.parse((await app.locator("pre").textContent()) ?? "") as Record<string, unknown>;
      expect(claims).toMatchObject({ sub: person.id, email: person.email, name: "Ada <b>Lovelace</b>" });

      await press("Call the API");
      await app.getByRole("heading", { name: "The API answers 200" }).waitFor();
      expect(JSON.parse((await app.locator("pre").textContent()) ?? "")).toEqual({
        message: "Hello",
        sub: person.id,
        scope,
      });

      await waitFor("the code's redemption and the refresh in the log", () => tokenRequests() - before >= 2);

      if (type === "web") await press("Back");
      await press("Sign out");
      await app.waitForURL(`${grantor.url}/oauth/logout**`);
      await app.locator('button[name="logout"][value="yes"]').click();
      await app.waitForURL(`${origin}/**`);
      await app.getByRole("heading", { name: "Quick start" }).waitFor();
      await press("Sign in");
      if (name.startsWith("Auth.js")) await press("Sign in with Grantor");
      await app.getByLabel("E-mail address").waitFor(); // there too
    } finally {
      await visitor.close();
    }
  });
});

test("says what is missing, gives each file as it shows it, and shows nobody else's", async () => {
  const client = await register("web", { redirectUris: ["https://production.example/callback"], home: "https://production.example/" });
  const shown = await copy(client, "Auth.js with Express");
  for (const words of ["http://localhost:4000/auth/callback/grantor", "http://localhost:4000/ "]) expect(shown.missing).toContain(words);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download app.js" }).click()]);
  expect(download.suggestedFilename()).toBe("app.js");
  expect(readFileSync(await download.path(), "utf8")).toBe(readFileSync(join(shown.directory, "app.js"), "utf8"));
  const strangers = await grantor.client();
  for (const path of [
    `${strangers.client_id}/quick-starts`,
    `${strangers.client_id}/quick-starts/python`,
    `${strangers.client_id}/quick-starts/python/files/app.py`,
    `${client.client_id}/quick-starts/spa`,
    `${client.client_id}/quick-starts/nothing`,
    `${client.client_id}/quick-starts/python/files/..%2Fgo%2Fmain.go`,
    `${client.client_id}/quick-starts/python/files/main.go`,
  ])
    expect((await developer.request.get(`${grantor.url}/apps/${path}`)).status(), path).toBe(404);
});

/** A shell script, with what somebody types into it. */
function runScript({ directory, run }: CopiedQuickStart, env: Record<string, string>) {
  const [bash, script] = run.split(" ");
  const program = spawn(bash as string, [script as string], { cwd: directory, env: { PATH: process.env.PATH ?? "", ...env } });
  scripts.push(program);
  let output = "";
  for (const stream of [program.stdout, program.stderr]) stream.setEncoding("utf8").on("data", (chunk) => (output += chunk));
  const ended = once(program, "close").then(([status]) => ({ status: status as number, output }));
  return {
    ended,
    type: (line: string) => program.stdin.end(`${line}\n`),
    said: (pattern: RegExp) => waitFor(`${pattern} in\n${output}`, () => pattern.exec(output)?.[1]),
  };
}

describe("in a shell", () => {
  beforeAll(() => {
    for (const name of ["bash", "curl", "openssl"]) findProgram([name], name);
  });

  const things = { message: "Hello" };

  test("gets a token for a service, calls the API, and the API asks whether a token is good", async () => {
    const { audience, scope } = await registerApi();
    const client = await register("service", { scope });
    await start(await copy(client, "An API in Node.js with Express"));
    const inNode = await copy(client, "Node.js");
    running.push(await startNodeQuickStart(inNode, secretOf(client), /^The API answers 200: .*$/m));
    expect(running.at(-1)?.output()).toContain(JSON.stringify({ ...things, sub: client.client_id, scope }));
    const program = await copy(client, "curl");
    expect(program.secrets).toEqual(["CLIENT_SECRET"]);
    const { status, output } = await runScript(program, secretOf(client)).ended;
    expect(output).toContain(JSON.stringify({ ...things, sub: client.client_id, scope }));
    expect(output).toContain("Revoked.");
    expect(status).toBe(0);

    const introspector = await grantor.client({ type: "service" });
    await grantor.services.resources.update(audience, { introspectors: [introspector.client_id] });
    const question = await copy(client, "Asking about a token with curl");
    expect(question.secrets).toEqual(["CLIENT_ID", "CLIENT_SECRET"]);
    const ask = async (token: string) => {
      const asking = runScript(question, { CLIENT_ID: introspector.client_id, ...secretOf(introspector) });
      asking.type(token);
      return (await asking.ended).output;
    };
    const seeded = { ...client, redirect_uri: "" };
    const answer = await post(`${grantor.url}/oauth/token`, seeded, { grant_type: "client_credentials", scope, resource: audience });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    expect(await ask(token)).toContain("200: let it in");
    await post(`${grantor.url}/oauth/revoke`, seeded, { token });
    expect(await ask(token)).toContain("401: the token is not good");
  });

  test("signs somebody in by hand, refreshes and revokes", async () => {
    const { scope } = await registerApi();
    const client = await register("native", { redirectUris: ["com.example.app:/callback"], scope });
    await start(await copy(client, "An API in Node.js with Koa"));
    const program = await copy(client, "curl, step by step");
    expect(program.missing).toBe("");
    const running = runScript(program, {});
    const url = await running.said(/^(http\S+)$/m);
    const person = await grantor.person();
    running.type((await authorize(new Agent(), url, person)).url);
    const { status, output } = await running.ended;
    const answer = JSON.stringify({ ...things, sub: person.id, scope });
    expect(output.split(answer)).toHaveLength(3);
    expect(output).toContain("Revoked.");
    expect(status).toBe(0);
  });

  test("signs a device in", async () => {
    const { scope } = await registerApi();
    const client = await register("device", { scope });
    await start(await copy(client, "An API in Node.js with Express"));
    const running = runScript(await copy(client, "curl"), {});
    const code = await running.said(/enter the code (\S+)/);
    const person = await grantor.person();
    const visitor = await browser.newContext();
    const there = await visitor.newPage();
    await there.goto(await running.said(/Open (\S+) and/));
    await there.locator('[name="user_code"]').fill(code);
    await there.getByRole("button", { name: "Continue" }).click();
    await there.locator('[name="confirm"], input[type="email"]').first().waitFor();
    if ((await there.locator('[name="email"]').count()) === 0) await there.locator('[name="confirm"]').click();
    await signIn(there, person);
    await there.getByRole("button", { name: "Allow", exact: true }).click();
    const { status, output } = await running.ended;
    await visitor.close();
    expect(output.split(JSON.stringify({ ...things, sub: person.id, scope }))).toHaveLength(3);
    expect(status).toBe(0);
  });
});
