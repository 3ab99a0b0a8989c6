/** For screenshots.ts: somebody gets an account, comes to every page of it, and leaves. */
import { generateSync } from "otplib";
import type { Page } from "playwright-core";
import { at, DESK, fill, follow, newestLink, open, press, signIn as signInAs, type Tour } from "./tour.ts";

const ADA = { email: "ada@example.org", name: "Ada Lovelace", password: "a few words of my own", next: "words chosen after that" };
const PHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

export async function lookAfterAccount({ browser, demo: { app, issuer }, outbox, picture, inLanguages }: Tour): Promise<void> {
  const signIn = (of: Page, password: string): Promise<void> => signInAs(of, { email: ADA.email, password });
  const both = ["light", "dark"] as const;

  const page = await open(browser, DESK);
  await page.goto(`${app}/sign-in`);
  await follow(page, "Create an account");
  await fill(page, "E-mail address", ADA.email);
  await fill(page, "Name (optional)", ADA.name);
  await picture(page, "sign-up");
  await fill(page, "Password", ADA.password);
  await press(page, "Create account");
  await at(page, "Check your mail");
  await page.locator("main code").evaluate((path) => {
    path.textContent = "data/outbox"; // as by `npm start`, not where this run keeps its data
  });
  await picture(page, "check-your-mail");
  await page.goto(await newestLink(outbox, "/verify-email"));
  await picture(page, "verify-email");
  const used = page.url();
  await press(page, "Confirm address");
  await at(page, "Your address is confirmed");
  await picture(page, "email-verified");
  const later = await open(browser, DESK);
  await later.goto(used);
  await at(later, "This link does not work any more");
  await picture(later, "link-dead");
  await follow(page, "Sign in");
  await signIn(page, ADA.password);
  await press(page, "Allow");
  await page.waitForURL(`${app}/**`);

  // A request that only a passkey meets.
  const request = (await page.context().request.get(`${app}/sign-in`, { maxRedirects: 0 })).headers().location;
  await page.goto(`${request}&acr_values=${encodeURIComponent("urn:grantor:acr:passkey")}`);
  await signIn(page, ADA.password);
  await at(page, "A passkey is needed");
  await picture(page, "second-factor-missing");

  await page.goto(`${issuer}/account`);
  await picture(page, "account", both);
  await inLanguages(page, "account", ["arabic"]);
  await page.goto(`${issuer}/account/profile`);
  await fill(page, "First name", "Ada");
  await picture(page, "account-profile");
  await page.goto(`${issuer}/account/password`);
  await picture(page, "account-password");
  await page.goto(`${issuer}/account/email`);
  await picture(page, "account-email");
  await fill(page, "New e-mail address", "ada@elsewhere.example");
  await press(page, "Send the link");
  await page.getByRole("status").waitFor();
  await page.goto(await newestLink(outbox, "/account/email/confirm"));
  await picture(page, "account-email-confirm");

  await page.goto(`${issuer}/account/two-step/set-up`);
  await picture(page, "account-two-step-set-up");
  const secret = ((await page.locator("code.key").textContent()) ?? "").replace(/\s/g, "");
  await fill(page, "Code that the app shows now", generateSync({ secret }));
  await press(page, "Switch on");
  await at(page, "Your recovery codes");
  await picture(page, "account-recovery-codes");
  const codes = await page.locator(".codes code").allTextContents();
  await addPasskey(page);
  await picture(page, "account-passkeys", both);
  await page.goto(`${issuer}/account/two-step`);
  await picture(page, "account-two-step");

  const phone = await open(browser, PHONE);
  await phone.goto(`${issuer}/sign-in`);
  await picture(phone, "sign-in-providers");
  await signIn(phone, ADA.password);
  await at(phone, "Second step");
  await picture(phone, "second-factor", both);
  await recover(phone);
  await at(phone, "You are signed in");
  await picture(phone, "recovery-code-used");
  await follow(phone, "Continue");
  await at(phone, "Your account");

  for (const name of ["sessions", "applications", "providers", "events", "data", "delete"]) {
    await page.goto(`${issuer}/account/${name}`);
    await picture(page, `account-${name}`, name === "sessions" ? both : ["light"]);
    if (name === "sessions") await inLanguages(page, "account-sessions", ["arabic"]);
    if (name === "events") await inLanguages(page, "account-events", ["arabic", "german", "japanese"]);
  }

  await phone.context().clearCookies();
  await phone.goto(`${issuer}/reset-password`);
  await fill(phone, "E-mail address", ADA.email);
  await picture(phone, "reset-password");
  await press(phone, "Send me a link");
  await at(phone, "Check your mail");
  await phone.goto(await newestLink(outbox, "/reset-password?"));
  await picture(phone, "new-password");
  await fill(phone, "Password", ADA.next);
  await press(phone, "Set the new password");
  await at(phone, "Your new password is set");
  await picture(phone, "password-set");

  await phone.goto(`${issuer}/account/delete`);
  await signIn(phone, ADA.next);
  await recover(phone);
  await follow(phone, "Continue");
  await fill(phone, "Type your e-mail address to confirm", ADA.email);
  await press(phone, "Delete my account");
  await at(phone, "Your account is going to be deleted");
  await picture(phone, "account-deleted");
  await follow(phone, "Sign in");
  await signIn(phone, ADA.next);
  await recover(phone);
  await follow(phone, "Continue");
  await at(phone, "This account is going to be deleted");
  await picture(phone, "deletion-pending");

  async function recover(of: Page): Promise<void> {
    await follow(of, "I cannot do this: use a recovery code");
    await fill(of, "Recovery code", codes.shift() ?? "");
    await press(of, "Continue");
  }
  async function addPasskey(of: Page): Promise<void> {
    const cdp = await of.context().newCDPSession(of);
    await cdp.send("WebAuthn.enable");
    await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    await of.goto(`${issuer}/account/passkeys`);
    await fill(of, "Name (optional)", "My laptop");
    await press(of, "Add a passkey");
    await of.getByText("Your passkey was added.").waitFor();
  }
}
