/** Quick starts as a developer meets them: copied from their pages, run unchanged, and used in Chromium. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Agent } from "../support/agent.ts";
import { type AppKind, type RegisteredApp, registerApp, signIn } from "../support/apps-in-browser.ts";
import { launch } from "../support/chromium.ts";
import { authorize, type Grantor, type Person, post, startGrantor } from "../support/grantor.ts";
import type { GuardedProcess } from "../support/guarded-process.ts";
import { freePort } from "../support/ports.ts";
import { findProgram } from "../support/programs.ts";
import { type CopiedQuickStart, copyQuickStart, npmStart, startNodeQuickStart } from "../support/quick-start.ts";
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
let typedInto: ChildProcess[] = [];

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
  for (const program of typedInto) program.kill("SIGKILL");
  typedInto = [];
  await Promise.all(ending.map(({ exited }) => exited));
});
afterAll(async () => {
  await browser?.close();
  await grantor?.[Symbol.asyncDispose]();
  await backing?.close();
  dir.remove();
});

const register = (kind: AppKind, options?: Parameters<typeof registerApp>[3]) => registerApp(page, grantor.url, kind, options);

/** An API at an address of its own. Its tokens live so shortly that every call is made with a refreshed one. */
async function registerApi(): Promise<{ audience: string; scope: string }> {
  const port = await freePort();
  const [audience, scope] = [`http://localhost:${port}`, `things${port}:read`];
  await grantor.resource(audience, { name: "Things", scopes: [scope], accessTokenTtl: 10 });
  return { audience, scope };
}

const tokenRequests = () => grantor.server.logs().split('"POST","path":"/oauth/token"').length - 1;

/** From the list of quick starts to one of them, and what stands there. */
async function copy({ client_id }: RegisteredApp, name: string): Promise<CopiedQuickStart> {
  await page.goto(`${grantor.url}/apps/${client_id}/quick-starts`);
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { level: 1, name: `Quick start: ${name}`, exact: true }).waitFor();
  return copyQuickStart(page, join(dir.path, client_id, name.replaceAll(" ", "-")));
}

async function start(quickStart: CopiedQuickStart, env: Record<string, string> = {}, said?: RegExp): Promise<GuardedProcess> {
  const program = await startNodeQuickStart(quickStart, env, said);
  running.push(program);
  return program;
}

const secretOf = ({ client_secret }: RegisteredApp): Record<string, string> =>
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

/** A program with what somebody types into it. */
function runTyping(quickStart: CopiedQuickStart, env: Record<string, string>) {
  const [command, ...args] = quickStart.run === "npm start" ? npmStart(quickStart) : quickStart.run.split(" ");
  const program = spawn(command as string, args, { cwd: quickStart.directory, env: { PATH: process.env.PATH ?? "", ...env } });
  typedInto.push(program);
  let output = "";
  for (const stream of [program.stdout, program.stderr]) stream.setEncoding("utf8").on("data", (chunk) => (output += chunk));
  const ended = once(program, "close").then(([status]) => ({ status: status as number, output }));
  return {
    ended,
    type: (line: string) => program.stdin.write(`${line}\n`),
    /** @param times how often it has been said */
    said: (pattern: RegExp, times = 1) =>
      waitFor(`${pattern} in\n${output}`, () => [...output.matchAll(new RegExp(pattern, "gm"))][times - 1]?.[1]),
  };
}

/** Programs that open a browser, in a directory of their own: they write down for what. */
function openers(): { path: string; opened(): string[] } {
  const path = join(dir.path, "openers");
  const notes = join(path, "opened");
  mkdirSync(path);
  writeFileSync(notes, "");
  for (const name of ["xdg-open", "open"]) writeFileSync(join(path, name), `#!/bin/sh\necho "$1" >> '${notes}'\n`, { mode: 0o755 });
  return { path, opened: () => readFileSync(notes, "utf8").split("\n").slice(0, -1) };
}

test("a native program signs somebody in with their browser, calls its API with a token that is refreshed, and signs out", async () => {
  const { scope } = await registerApi();
  const client = await register("native", { scope });
  await start(await copy(client, "An API in Node.js with Koa"));
  const copied = await copy(client, "Node.js");
  expect(copied).toMatchObject({ missing: "", secrets: [] });
  const before = tokenRequests();
  const browsers = openers();
  const program = runTyping(copied, { PATH: browsers.path });
  const url = new URL(await program.said(/^(http\S+)\n/));
  const redirectUri = new URL(url.searchParams.get("redirect_uri") ?? "");
  // Anybody on this machine can ask the listener: only the answer to its own request ends the waiting.
  expect((await fetch(`${redirectUri.href}?code=stolen&state=another&iss=${grantor.url}`)).status).toBe(404);

  const person = await grantor.person();
  const visitor = await browser.newContext();
  try {
    const app = await visitor.newPage();
    await app.goto(url.href);
    await signIn(app, person);
    await app.getByRole("button", { name: "Allow", exact: true }).click();
    await app.getByText("go back to the program").waitFor();
    expect(app.url().startsWith(redirectUri.href)).toBe(true);
    program.type("");
    const answer = JSON.stringify({ message: "Hello", sub: person.id, scope });
    expect(await program.said(/The API answers 200: (.*)\n/, 2)).toBe(answer);
    await waitFor("the code's redemption and two refreshes in the log", () => tokenRequests() - before >= 3);
    program.type("q");
    const { status, output } = await program.ended;
    expect(status, output).toBe(0);
    expect(output).toContain(`sub: '${person.id}'`);
    const signOut = await waitFor("the browser's opening to sign in and to sign out", () => browsers.opened()[1]);
    expect(browsers.opened()[0]).toBe(url.href);
    await app.goto(signOut);
    await app.locator('button[name="logout"][value="yes"]').click();
    await app.getByRole("heading", { name: "You are signed out" }).waitFor();
  } finally {
    await visitor.close();
  }
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
    const service = await start(inNode, secretOf(client), /^The API answers 200: .*$/m);
    expect(service.output()).toContain(JSON.stringify({ ...things, sub: client.client_id, scope }));
    const program = await copy(client, "curl");
    expect(program.secrets).toEqual(["CLIENT_SECRET"]);
    const { status, output } = await runTyping(program, secretOf(client)).ended;
    expect(output).toContain(JSON.stringify({ ...things, sub: client.client_id, scope }));
    expect(output).toContain("Revoked.");
    expect(status).toBe(0);

    const introspector = await grantor.client({ type: "service" });
    await grantor.services.resources.update(audience, { introspectors: [introspector.client_id] });
    const question = await copy(client, "Asking about a token with curl");
    expect(question.secrets).toEqual(["CLIENT_ID", "CLIENT_SECRET"]);
    const ask = async (token: string) => {
      const asking = runTyping(question, { CLIENT_ID: introspector.client_id, ...secretOf(introspector) });
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
    const running = runTyping(program, {});
    const url = await running.said(/^(http\S+)$/m);
    const person = await grantor.person();
    running.type((await authorize(new Agent(), url, person)).url);
    const { status, output } = await running.ended;
    const answer = JSON.stringify({ ...things, sub: person.id, scope });
    expect(output.split(answer)).toHaveLength(3);
    expect(output).toContain("Revoked.");
    expect(status).toBe(0);
  });

  test("signs devices in, as does Node.js", async () => {
    const { scope } = await registerApi();
    const client = await register("device", { scope });
    await start(await copy(client, "An API in Node.js with Express"));
    const inShell = runTyping(await copy(client, "curl"), {});
    const inNode = await start(await copy(client, "Node.js"), {}, /enter the code \S+/);
    const { href } = new URL(await inShell.said(/Open (\S+) and/));
    const ada = await enterCode(href, await inShell.said(/enter the code (\S+)/));
    const grace = await enterCode(href, (await inNode.waitForOutput(/enter the code (\S+)/))[1] as string);
    const { status, output } = await inShell.ended;
    expect(output.split(JSON.stringify({ ...things, sub: ada.id, scope }))).toHaveLength(3);
    expect(status).toBe(0);
    expect(await inNode.exited, inNode.output()).toBe(0);
    for (const said of [`sub: '${grace.id}'`, `The API answers 200: ${JSON.stringify({ ...things, sub: grace.id, scope })}`, "Signed out."])
      expect(inNode.output()).toContain(said);
  });

  /** Of somebody new, in a browser of their own. */
  async function enterCode(address: string, code: string): Promise<Person> {
    const person = await grantor.person();
    const visitor = await browser.newContext();
    const there = await visitor.newPage();
    await there.goto(address);
    await there.locator('[name="user_code"]').fill(code);
    await there.getByRole("button", { name: "Continue" }).click();
    await there.locator('[name="confirm"], input[type="email"]').first().waitFor();
    if ((await there.locator('[name="email"]').count()) === 0) await there.locator('[name="confirm"]').click();
    await signIn(there, person);
    await there.getByRole("button", { name: "Allow", exact: true }).click();
    await there.getByRole("heading", { name: "Device connected" }).waitFor();
    await visitor.close();
    return person;
  }
});
