/** How people get an account: sign-up on the way to an application, the link in the mail, the first administrator. */
import { expect, it } from "vitest";
import { describeJourneys } from "./journeys.ts";

const PASSWORD = "a few words of my own";
const CHOSEN = "words chosen in the other browser";

describeJourneys("getting an account", (journey) => {
  it("leads from an application through the mail and back to it", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const email = `${journey.stores.redisUrl === undefined ? "ada" : "grace"}@example.org`;
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await visitor.at("Sign in");
    await visitor.follow("Create an account");
    await visitor.at("Create an account");
    expect(await visitor.words()).toContain("Sunny Photo Prints");
    await visitor.fill("E-mail address", "ada@");
    await visitor.fill("Password", "short");
    await visitor.press("Create account");
    await visitor.page.getByRole("alert").waitFor();
    await visitor.at("Create an account");
    expect(await visitor.page.getByLabel("E-mail address").getAttribute("aria-invalid")).toBe("true");
    await visitor.fill("E-mail address", email);
    await visitor.fill("Name (optional)", "Ada Lovelace");
    await visitor.fill("Password", PASSWORD);
    await visitor.press("Create account");
    await visitor.at("Check your mail");

    const { link } = await journey.mailTo(email);
    await visitor.page.goto(link);
    await visitor.at("Confirm your address");
    expect(await visitor.words()).toContain(email);
    await visitor.press("Confirm address");
    await visitor.at("Your address is confirmed");
    await visitor.follow("Sign in");
    await journey.signIn(visitor, { email, password: PASSWORD });
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Allow");
    expect((await journey.arrival(visitor)).parameters.get("code")).toBeTruthy();

    await visitor.page.goto(link);
    await visitor.at("This link does not work any more");
    await visitor.page.goto(`${journey.grantor.url}/account`);
    await visitor.at("Your account");
    expect(await visitor.words()).toContain("Ada Lovelace");
  });

  it("may be finished in another browser, which asks for a password and says where it began", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const email = `elsewhere-${Date.now()}@example.org`;
    const laptop = await journey.visitor();
    await journey.begin(laptop, client);
    await laptop.at("Sign in");
    await laptop.follow("Create an account");
    await laptop.at("Create an account");
    await laptop.fill("E-mail address", email);
    await laptop.fill("Password", PASSWORD);
    await laptop.press("Create account");
    await laptop.at("Check your mail");
    const phone = await journey.visitor("mouse");
    await phone.page.goto((await journey.mailTo(email)).link);
    await phone.at("Confirm your address");
    expect(await phone.words()).toContain("The account was not asked for in this browser");
    await phone.fill("Password", "short");
    await phone.press("Confirm address");
    await phone.page.getByRole("alert").waitFor();
    await phone.at("Confirm your address");
    await phone.fill("Password", CHOSEN);
    await phone.press("Confirm address");
    await phone.at("Your address is confirmed");
    expect(await phone.words()).toContain("You signed up in another browser");
    await phone.follow("Sign in");
    await journey.signIn(phone, { email, password: CHOSEN });
    await phone.at("Your account");
    await laptop.follow("Go to sign-in");
    await journey.signIn(laptop, { email, password: CHOSEN });
    await laptop.at("Allow Sunny Photo Prints to use your Grantor account?");
  });

  it("looks the same for an address that has an account, whose owner hears of it", async () => {
    const person = await journey.grantor.person();
    const visitor = await journey.visitor();
    await visitor.page.goto(`${journey.grantor.url}/`);
    await visitor.at("One account, many applications");
    await visitor.follow("Create an account");
    await visitor.at("Create an account");
    await visitor.fill("E-mail address", person.email);
    await visitor.fill("Password", PASSWORD);
    await visitor.press("Create account");
    await visitor.at("Check your mail");
    expect((await journey.mailTo(person.email)).text).toContain("already");
    await visitor.follow("Go to sign-in");
    await journey.signIn(visitor, person);
    await visitor.at("Your account");
  });

  it("is found again by who forgot the password: by keyboard, from the application through the mail and back", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const person = await journey.grantor.person();
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await visitor.at("Sign in");
    await visitor.follow("I forgot my password");
    await visitor.at("Reset your password");
    await visitor.fill("E-mail address", "ada@");
    await visitor.press("Send me a link");
    await visitor.page.getByRole("alert").waitFor();
    await visitor.at("Reset your password");
    await visitor.fill("E-mail address", person.email);
    await visitor.press("Send me a link");
    await visitor.at("Check your mail");

    const { link } = await journey.mailTo(person.email);
    await visitor.page.goto(link);
    await visitor.at("Choose a new password");
    expect(await visitor.words()).toContain(person.email);
    await visitor.fill("Password", "passwordpassword");
    await visitor.press("Set the new password");
    await visitor.page.getByRole("alert").waitFor();
    await visitor.at("Choose a new password");
    expect(await visitor.words()).toContain("tried first");
    await visitor.fill("Password", CHOSEN);
    await visitor.press("Set the new password");
    await visitor.at("Your new password is set");
    expect((await journey.mailTo(person.email)).text).toContain("was reset");
    await visitor.follow("Sign in");
    await journey.signIn(visitor, { email: person.email, password: CHOSEN });
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.page.goto(link);
    await visitor.at("This link does not work any more");
  });

  it("makes the first administrator by the link beside the log, once", async () => {
    const { logs } = journey.grantor.server;
    const link = /http\S+\/bootstrap\?token=\S+/.exec(logs())?.[0] as string;
    const visitor = await journey.visitor();
    await visitor.page.goto(link);
    await visitor.at("Create the first administrator");
    await visitor.fill("E-mail address", "root@example.org");
    await visitor.fill("Password", "too short");
    await visitor.press("Create administrator");
    await visitor.page.getByRole("alert").waitFor();
    await visitor.at("Create the first administrator");
    await visitor.fill("Password", PASSWORD);
    await visitor.press("Create administrator");
    await visitor.at("The administrator's account is ready");
    await visitor.follow("Sign in");
    await journey.signIn(visitor, { email: "root@example.org", password: PASSWORD });
    await visitor.at("Your account");
    expect(await visitor.words()).toContain("admin");
    const late = await journey.visitor();
    await late.page.goto(link);
    await late.at("This link does not work any more");
  });
});

describeJourneys(
  "sign-up by invitation",
  (journey) => {
    it("opens with the link in the mail alone", async () => {
      const email = `invited-${Date.now()}@example.org`;
      const visitor = await journey.visitor();
      await visitor.page.goto(`${journey.grantor.url}/sign-up`);
      await visitor.at("Signing up is not open to everybody here");
      const { link } = await journey.grantor.services.people.signUp.invite(email);
      await visitor.page.goto(link);
      await visitor.at("Create an account");
      expect(await visitor.page.getByLabel("E-mail address").inputValue()).toBe(email);
      await visitor.fill("Password", PASSWORD);
      await visitor.press("Create account");
      await visitor.at("Check your mail");
    });
  },
  { env: { SIGN_UP: "invite" } },
);
