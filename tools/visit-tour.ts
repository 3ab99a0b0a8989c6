/** For screenshots.ts: somebody looks at the start page, mistypes a password, connects a device, gets lost, and signs out. */
import type { Page } from "playwright-core";
import { grantorProgram } from "../test/support/command-line.ts";
import { at, DESK, fill, follow, open, press, signIn, type Tour } from "./tour.ts";

const both = ["light", "dark"] as const;

export async function visit({ browser, demo: { app, issuer, login, env }, picture, inLanguages }: Tour): Promise<void> {
  const page = await open(browser, DESK);
  await page.goto(issuer);
  await picture(page, "home", both);

  const mistype = () => signIn(page, { email: login.email, password: "a word too much" }).then(() => page.getByRole("alert").waitFor());
  await page.goto(`${app}/sign-in`);
  await inLanguages(page, "sign-in", ["german", "japanese"]);
  await mistype();
  await picture(page, "sign-in-wrong");
  await fill(page, "Password", login.password);
  await press(page, "Sign in");
  await page.getByRole("button", { name: "Allow", exact: true }).waitFor();
  await inLanguages(page, "consent", ["arabic", "german", "japanese"]);
  await press(page, "Allow");
  await page.waitForURL(`${app}/**`);

  const { stdout } = await grantorProgram(env, ["client", "create", "--name", "Living room", "--type", "device", "--json"]);
  const { client_id } = JSON.parse(stdout) as { client_id: string };
  await page.goto(`${issuer}/device`);
  await picture(page, "device");
  await typeCode(page);
  await at(page, "Is this your device?");
  await picture(page, "device-confirm", both);
  await press(page, "Continue");
  await picture(page, "device-consent");
  await press(page, "Allow");
  await at(page, "Device connected");
  await picture(page, "device-connected");
  await page.goto(`${issuer}/device`);
  await typeCode(page);
  await press(page, "Stop");
  await at(page, "Device not connected");
  await picture(page, "device-stopped");

  await page.goto(`${issuer}/nowhere`);
  await picture(page, "nothing-here");
  await page.goto(`${issuer}/interaction/over`);
  await picture(page, "sign-in-over");

  await page.goto(app);
  await press(page, "Sign out");
  await at(page, "Sign out of Grantor?");
  await picture(page, "sign-out", both);
  await page.goto(`${issuer}/oauth/logout`);
  await press(page, "Stay signed in");
  await at(page, "You are still signed in");
  await picture(page, "still-signed-in");
  await page.goto(`${issuer}/oauth/logout`);
  await press(page, "Sign out");
  await at(page, "You are signed out");
  await picture(page, "signed-out");
  await follow(page, "Sign in again");
  await page.context().close();

  async function typeCode(of: Page): Promise<void> {
    const asked = await of.context().request.post(`${issuer}/oauth/device`, { form: { client_id, scope: "openid email" } });
    const { user_code } = (await asked.json()) as { user_code: string };
    await fill(of, "Code", user_code);
    await press(of, "Continue");
  }
}
