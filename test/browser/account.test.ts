/** What people do for their account by themselves: profile, address, password, second steps, browsers, data, the end of it. */
import { readFileSync } from "node:fs";
import { generateSync } from "otplib";
import { expect, it } from "vitest";
import type { Person } from "../support/grantor.ts";
import { noteSecret } from "../support/secrets-watch.ts";
import { waitFor } from "../support/wait-for.ts";
import { describeJourneys } from "./journeys.ts";
import type { Visitor } from "./visitor.ts";

const CHOSEN = "words that are chosen on the way";

/** The texts of a language, as the pages take them. */
const words = (language: string, namespace: string) =>
  JSON.parse(readFileSync(new URL(`../../locales/${language}/${namespace}.json`, import.meta.url), "utf8"));

/** A code of an authenticator app; each counts once, and those of the steps around now count. */
const codeOf = (secret: string, steps = 0) => generateSync({ secret, epoch: Math.floor(Date.now() / 1000) + 30 * steps });

describeJourneys("looking after one's account", (journey) => {
  /** Signs in and comes to the account. */
  async function signedIn(visitor: Visitor, person: Pick<Person, "email" | "password">) {
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    await journey.signIn(visitor, person);
    await visitor.at("Your account");
  }
  const said = (visitor: Visitor, text: string) => visitor.page.getByRole("status").filter({ hasText: text }).waitFor();
  const refused = (visitor: Visitor) => visitor.page.getByRole("alert").waitFor();

  it("changes what is said about oneself, the address and the password", async () => {
    const person = await journey.grantor.person();
    const visitor = await journey.visitor();
    await signedIn(visitor, person);

    await journey.turnTo(visitor, "Profile", "Your profile");
    await visitor.fill("Full name", "Ada King");
    await visitor.fill("Your website", "nowhere");
    await visitor.press("Save");
    await refused(visitor);
    await visitor.at("Your profile");
    expect(await visitor.page.getByLabel("Full name").inputValue()).toBe("Ada King");
    await visitor.fill("Your website", "https://ada.example");
    await visitor.press("Save");
    await said(visitor, "Your profile is saved.");
    await visitor.at("Your profile");

    const email = `fresh-${person.email}`;
    await journey.turnTo(visitor, "E-mail address");
    await visitor.fill("New e-mail address", person.email);
    await visitor.press("Send the link");
    await refused(visitor);
    await visitor.at("E-mail address");
    await visitor.fill("New e-mail address", email);
    await visitor.press("Send the link");
    await said(visitor, email);
    await visitor.at("E-mail address");
    await visitor.page.goto((await journey.mailTo(email)).link);
    await visitor.at("Confirm your new address");
    await visitor.press("Use this address");
    await said(visitor, "Your e-mail address is changed.");
    await visitor.at("Your account");
    expect((await journey.mailTo(person.email)).text).toContain("e-mail address");

    await journey.turnTo(visitor, "Password");
    await visitor.fill("Current password", "not the one");
    await visitor.fill("New password", CHOSEN);
    await visitor.press("Change the password");
    await refused(visitor);
    await visitor.at("Password");
    await visitor.fill("Current password", person.password);
    await visitor.fill("New password", CHOSEN);
    await visitor.press("Change the password");
    await said(visitor, "Your password is changed.");
    await visitor.at("Password");

    await visitor.context.clearCookies();
    await signedIn(visitor, { email, password: CHOSEN });
    expect(await visitor.words()).toContain("Ada King");
  });

  it("sets up the second step that an application demands, signs in with it, and without the phone", async () => {
    const client = await journey.client("Sunny Photo Prints", { firstParty: true, requiresSecondFactor: true });
    const person = await journey.grantor.person();
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await journey.signIn(visitor, person);
    await visitor.at("Set up an authenticator app");
    const secret = ((await visitor.page.locator("main code").textContent()) ?? "").replace(/\s/g, "");
    noteSecret(secret);
    await visitor.fill("Code that the app shows now", codeOf(secret, 9));
    await visitor.press("Switch on");
    await refused(visitor);
    await visitor.at("Set up an authenticator app");
    await visitor.fill("Code that the app shows now", codeOf(secret));
    await visitor.press("Switch on");
    await visitor.at("Your recovery codes");
    const codes = await visitor.page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem").allTextContents();
    for (const code of codes) noteSecret(code.trim());
    await visitor.follow("I have kept them: continue");
    expect((await journey.arrival(visitor)).parameters.get("code")).toBeTruthy();

    await visitor.context.clearCookies();
    await journey.begin(visitor, client);
    await journey.signIn(visitor, person);
    await visitor.at("Second step");
    await visitor.fill("Code from your authenticator app", codeOf(secret, 9));
    await visitor.press("Continue");
    await refused(visitor);
    await visitor.at("Second step");
    await visitor.fill("Code from your authenticator app", codeOf(secret, 1));
    await visitor.press("Continue");
    expect((await journey.arrival(visitor)).parameters.get("code")).toBeTruthy();

    await visitor.context.clearCookies();
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    await journey.signIn(visitor, person);
    await visitor.at("Second step");
    await visitor.follow("I cannot do this: use a recovery code");
    await visitor.at("Second step");
    await visitor.fill("Recovery code", codes[0] ?? "");
    await visitor.press("Continue");
    await visitor.at("You are signed in");
    await visitor.follow("Continue");
    await visitor.at("Your account");

    await journey.turnTo(visitor, "Two-step sign-in");
    await visitor.press("Make new recovery codes");
    await visitor.at("Your recovery codes");
    await visitor.follow("Back to two-step sign-in");
    await visitor.at("Two-step sign-in");
    await visitor.follow("Move to another phone or app");
    await visitor.at("Set up an authenticator app");
    await visitor.follow("Back to two-step sign-in");
    await visitor.at("Two-step sign-in");
    await visitor.press("Remove the authenticator app");
    await said(visitor, "The authenticator app was removed.");
    await visitor.at("Two-step sign-in");
    expect(await visitor.words()).toContain("Two-step sign-in is off.");
  });

  it("sees where it is signed in, signs out there, reads what happened and takes the data along", async () => {
    const person = await journey.grantor.person();
    const [here, there] = [await journey.visitor(), await journey.visitor("mouse")];
    await here.page.goto(`${journey.grantor.url}/sign-in`);
    await here.tick("Keep me signed in on this device");
    await journey.signIn(here, person);
    await here.at("Your account");
    await signedIn(there, person);

    await journey.turnTo(here, "Where you are signed in");
    expect(await here.words()).toContain("when the browser closes, too");
    await here.press(/^Sign out there/);
    await said(here, "That browser is signed out.");
    await here.at("Where you are signed in");
    await there.page.goto(`${journey.grantor.url}/account`);
    await journey.signIn(there, person);
    await there.at("Your account");
    await here.page.reload();
    await here.press("Sign out everywhere else");
    await said(here, "You are signed out everywhere but here.");
    await here.at("Where you are signed in");
    await there.page.reload();
    await there.at("Sign in");

    await journey.turnTo(here, "Security events");
    // Events are written behind the answer.
    await waitFor("the event", async () => {
      await here.page.reload();
      return (await here.words()).includes("All other browsers were signed out");
    });
    await journey.turnTo(here, "Your data");
    expect(JSON.parse(await here.download("Download my data"))).toMatchObject({ profile: { email: person.email } });
  });

  it("deletes the account, and changes its mind", async () => {
    const person = await journey.grantor.person();
    const visitor = await journey.visitor();
    await signedIn(visitor, person);
    await journey.turnTo(visitor, "Delete your account");
    await visitor.fill("Type your e-mail address to confirm", "somebody@else.example");
    await visitor.press("Delete my account");
    await refused(visitor);
    await visitor.at("Delete your account");
    await visitor.fill("Type your e-mail address to confirm", person.email);
    await visitor.press("Delete my account");
    await visitor.at("Your account is going to be deleted");
    await visitor.follow("Sign in");
    await journey.signIn(visitor, person);
    await visitor.at("This account is going to be deleted");
    await visitor.press("Keep the account and sign in");
    await visitor.at("Your account");
  });

  it("goes from right to left in Arabic, as the browser asks, from the sign-in on", async () => {
    const [common, signIn, account, sessions] = ["common", "sign-in", "account", "sessions"].map((each) => words("ar", each));
    const visitor = await journey.visitor();
    await visitor.context.setExtraHTTPHeaders({ "Accept-Language": "ar" });
    const person = await journey.grantor.person();
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    await visitor.at(signIn.title);
    expect(await visitor.page.evaluate(() => getComputedStyle(document.body).direction)).toBe("rtl");
    await visitor.fill(common.email, person.email);
    await visitor.fill(common.password, person.password);
    await visitor.press(signIn.submit);
    await visitor.at(account.overview.title);
    await visitor.follow(account.sections.sessions);
    await visitor.at(sessions.title);
    expect(await visitor.words()).toContain(sessions.this_one);
  });
});
