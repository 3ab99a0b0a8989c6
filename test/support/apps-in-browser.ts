/** A developer in a browser: signs in, and registers applications in the portal, of which each is what the wizard makes of it. */
import type { Page } from "playwright-core";
import type { Person } from "./grantor.ts";

/** Once the sign-in page is there. */
export async function signIn(at: Page, { email, password }: Person): Promise<void> {
  await at.getByLabel("E-mail address").fill(email);
  await at.getByLabel("Password", { exact: true }).fill(password);
  await at.getByRole("button", { name: "Sign in", exact: true }).click();
}

export interface RegisteredApp {
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
export type AppKind = keyof typeof KINDS;

/**
 * Through the wizard, and then the box of the API that the application calls.
 * @param page of somebody who is signed in
 * @param redirectUris, home what the wizard proposes, where they are absent
 */
export async function registerApp(
  page: Page,
  issuer: string,
  kind: AppKind,
  { redirectUris, home, scope }: { redirectUris?: string[]; home?: string; scope?: string } = {},
): Promise<RegisteredApp> {
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  await page.goto(`${issuer}/apps/new`);
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
    await page.goto(`${issuer}/apps/${client_id}/scopes`);
    await page.locator(`[name="scope:${scope}"]`).check();
    await press("Save");
    await page.getByText("Saved.").waitFor();
  }
  return { client_id, ...(client_secret !== undefined && { client_secret }) };
}
