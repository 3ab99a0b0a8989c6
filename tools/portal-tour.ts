/** For screenshots.ts: somebody registers applications and looks after one, alone and with somebody else, until an operator suspends it. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { Browser, Page } from "playwright-core";
import { grantorProgram } from "../test/support/command-line.ts";
import { waitFor } from "../test/support/wait-for.ts";
import { at, DESK, fill, follow, newestLink, open, press, signIn, type Tour } from "./tour.ts";

const GRACE = { email: "grace@example.org", name: "Grace Hopper", password: "compilers for everybody" };
const NAME = "Recipe box";
const both = ["light", "dark"] as const;

/** Whom the portal's demo lets register applications: its administrator, and not Grace. */
export const PORTAL_SETTINGS = { DEVELOPERS: "role:developer" };

export async function lookAfterApplications({ browser, demo, outbox, picture, inLanguages }: Tour): Promise<void> {
  const { issuer, login } = demo;
  const page = await open(browser, DESK);
  const operator = async (...args: string[]): Promise<void> => {
    const { status, stderr } = await grantorProgram(demo.env, args);
    if (status !== 0) throw new Error(`grantor ${args.join(" ")}: ${stderr}`);
  };
  await operator("account", "create", "--email", GRACE.email, "--name", GRACE.name, "--password", GRACE.password);

  await page.goto(`${issuer}/apps`);
  await signIn(page, login);
  await at(page, "Your applications");
  await picture(page, "portal-none");
  await follow(page, "Register an application");
  await picture(page, "portal-new", both);
  await inLanguages(page, "portal-new", ["arabic"]);
  await follow(page, "Web application");
  await press(page, "Register it");
  await page.getByRole("alert").waitFor();
  await fill(page, "Where people come back to after they signed in", "http://recipes.example/callback\nhttps://recipes.example/callback");
  await page.keyboard.press("Tab");
  await page.getByText("Plain http is for your own computer alone").waitFor();
  await picture(page, "portal-new-web-wrong");
  const { app, id } = await register("Web application", NAME, "portal-new-web");
  await picture(page, "portal-created", both);

  const service = await register("Machine to machine", "Nightly report", "portal-new-service");
  const secret = await page.getByLabel("Client secret").inputValue();
  const { app: native } = await register("Native app", "Recipe notes", "portal-new-native");
  await picture(page, "portal-created-native");
  const { app: device } = await register("Device", "Living room");
  await page.goto(`${issuer}/apps`);
  await picture(page, "portal", both);

  await page.goto(app);
  await picture(page, "portal-app", both);
  await inLanguages(page, "portal-app", ["arabic", "german", "japanese"]);
  await page.goto(`${app}/quick-starts`);
  await picture(page, "portal-quick-starts");
  await follow(page, "Node.js with Express");
  await page.getByRole("heading", { name: "app.js" }).waitFor();
  await picture(page, "portal-quick-start", both);
  await inLanguages(page, "portal-quick-start", ["arabic"]);
  for (const [of, kind, program] of [
    [native, "native", "Go"],
    [device, "device", "Node.js"],
    [service.app, "service", "Python"],
  ] as const) {
    await page.goto(`${of}/quick-starts`);
    if (kind === "native") await picture(page, "portal-quick-starts-native");
    await follow(page, program);
    await page.locator(".source").first().waitFor();
    await picture(page, `portal-quick-start-${kind}`);
  }

  await page.goto(`${app}/try`);
  await picture(page, "portal-try");
  await press(page, "Try it");
  await page.getByRole("button", { name: "Allow", exact: true }).waitFor();
  await picture(page, "consent-unverified", both);
  await press(page, "Allow");
  await at(page, "A trial run");
  await picture(page, "portal-trial", both);
  await inLanguages(page, "portal-trial", ["arabic", "german", "japanese"]);
  await page.goto(`${device}/try`);
  await press(page, "Try it");
  await at(page, "A trial run");
  await picture(page, "portal-trial-device");
  await beforeItGoesOn(page, issuer, id);
  await picture(page, "passing-on");
  await inLanguages(page, "passing-on", ["arabic", "german", "japanese"]);

  await fail(page, issuer, id);
  await picture(page, "refused-redirect-uri", both);
  const listed = async () => (await (await page.context().request.get(`${app}/failures`)).text()).split('class="application"').length > 2;
  await waitFor("both failures", listed);
  await page.goto(`${app}/failures`);
  await picture(page, "portal-failures", both);
  await inLanguages(page, "portal-failures", ["arabic", "german", "japanese"]);
  await fail(page, issuer, id);
  await inLanguages(page, "refused-redirect-uri", ["arabic", "german", "japanese"]);

  for (const name of ["addresses", "look", "scopes", "keys", "lifetimes", "protection", "delete"]) {
    await page.goto(`${app}/${name}`);
    await picture(page, `portal-${name}`);
  }
  await page.goto(`${app}/secret`);
  await picture(page, "portal-secret");
  await press(page, "Make a new secret");
  await page.getByLabel("Client secret").waitFor();
  await picture(page, "portal-secret-new", both);

  await invite(GRACE.email);
  const grace = await open(browser, DESK);
  await grace.goto(`${issuer}/apps`);
  await signIn(grace, GRACE);
  await at(grace, "Your applications");
  await picture(grace, "portal-may-not");
  await grace.goto(app);
  await at(grace, "No such application");
  await picture(grace, "portal-not-yours");
  await grace.goto(await newestLink(outbox, "/apps/invitation"));
  await at(grace, "Look after an application together");
  await picture(grace, "portal-invitation");
  await press(grace, "Accept");
  await at(grace, NAME);
  await invite("ada@example.org");
  await page.locator("main .good p:last-child bdi").evaluate((path) => {
    path.textContent = "data/outbox"; // as by `npm start`, not where this run keeps its data
  });
  await picture(page, "portal-owners");

  await operator("client", "suspend", id);
  await waitFor("the server to hear of it", async () => {
    await page.goto(app);
    return page.getByText("An operator has suspended this application").isVisible();
  });
  await picture(page, "portal-suspended");
  await page.goto(`${issuer}/oauth/authorize?${new URLSearchParams(requestOf(id))}`);
  await at(page, "This application is suspended");
  await picture(page, "refused-suspended");

  await page.goto(`${issuer}/api`);
  await picture(page, "api", both);

  await using logo = await serveLogo(browser);
  const { client_id } = Object.fromEntries(new URL(await redirectOf(page, `${demo.app}/sign-in`)).searchParams);
  await operator("client", "update", `${client_id}`, "--verified", "--metadata", JSON.stringify({ logo_uri: logo.url }));
  await page.goto(`${demo.app}/sign-in`);
  await page.getByRole("img", { name: /logo/i }).waitFor();
  await picture(page, "consent-verified", both);
  await page.goto(`${issuer}/apps/inspector`);
  await picture(page, "portal-inspector");
  const token = await tokenOf(service.id, secret);
  const inspect = (pasted: string) => async (): Promise<void> => {
    await page.locator("textarea").fill(pasted);
    await page.locator("#verdict p").waitFor();
  };
  await inspect(token)();
  await picture(page, "portal-inspector-token", both);
  await inLanguages(page, "portal-inspector-token", ["arabic", "german", "japanese"], inspect(token));
  await inspect(`${token.slice(0, -6)}AAAAAA`)();
  await page.getByText("It does not count").waitFor();
  await picture(page, "portal-inspector-invalid");

  /** @param pictured the form's picture @returns where it is looked after */
  async function register(kind: string, name: string, pictured?: string): Promise<{ app: string; id: string }> {
    await page.goto(`${issuer}/apps/new`);
    await follow(page, kind);
    await fill(page, "Name", name);
    if (kind === "Machine to machine") await page.getByLabel("See your things").check();
    if (pictured !== undefined) await picture(page, pictured);
    await press(page, "Register it");
    await at(page, `${name} is registered`);
    const id = await page.getByLabel("Client ID").inputValue();
    return { app: `${issuer}/apps/${id}`, id };
  }
  /** An access token for the demo's API. */
  async function tokenOf(clientId: string, secret: string): Promise<string> {
    const headers = { Authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString("base64")}` };
    const form = { grant_type: "client_credentials", resource: demo.api, scope: "things:read" };
    const answer = await page.context().request.post(`${issuer}/oauth/token`, { headers, form });
    return ((await answer.json()) as { access_token: string }).access_token;
  }
  async function invite(email: string): Promise<void> {
    await page.goto(`${app}/owners`);
    await fill(page, "E-mail address", email);
    await press(page, "Send the invitation");
    await page.getByText("The invitation is on its way").waitFor();
  }
}

/** With a mistyped secret, and with a slash too many, where the person sees that something is wrong. */
async function fail(page: Page, issuer: string, id: string): Promise<void> {
  const headers = { Authorization: `Basic ${Buffer.from(`${id}:mistyped`).toString("base64")}` };
  await page.context().request.post(`${issuer}/oauth/token`, { headers, form: { grant_type: "refresh_token", refresh_token: "x" } });
  const asked = { ...requestOf(id), redirect_uri: "http://localhost:4000/callback/" };
  await page.goto(`${issuer}/oauth/authorize?${new URLSearchParams(asked)}`);
}

const requestOf = (client_id: string) => ({
  client_id,
  redirect_uri: "http://localhost:4000/callback",
  response_type: "code",
  scope: "openid",
  code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", // RFC 7636, appendix B
  code_challenge_method: "S256",
});

/** The answer that the browser posts to the application: what people see who are quicker than the script, or have none. */
async function beforeItGoesOn(page: Page, issuer: string, id: string): Promise<void> {
  await page.route("**/assets/send.js*", (route) => route.abort());
  await page.goto(`${issuer}/oauth/authorize?${new URLSearchParams({ ...requestOf(id), response_mode: "form_post" })}`);
  await at(page, "One moment");
}

const redirectOf = async (page: Page, url: string): Promise<string> =>
  (await page.context().request.get(url, { maxRedirects: 0 })).headers().location ?? "";

/** A port of its own, which FETCH_ALLOW must name. */
export const LOGO_PORT = 3003;

/** A picture as an application may have it, drawn here. */
async function serveLogo(browser: Browser) {
  const page = await browser.newPage({ viewport: { width: 96, height: 96 } });
  await page.setContent(`<body style="margin:0"><svg viewBox="0 0 96 96" width="96" height="96"><rect width="96" height="96" fill="#0b6e4f"/>
    <path d="M24 60 48 24 72 60Z" fill="#fff"/><circle cx="48" cy="68" r="9" fill="#f4a259"/></svg>`);
  const png = await page.screenshot();
  await page.close();
  const server = createServer((_request, response) => response.writeHead(200, { "content-type": "image/png" }).end(png));
  server.listen(LOGO_PORT, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://localhost:${LOGO_PORT}/logo.png`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
