/** What people meet when something goes wrong: every page says what happened and what to do, and nothing is lost that need not be. */
import { expect, it } from "vitest";
import { authorizationUrl, pkce } from "../support/grantor.ts";
import { describeJourneys } from "./journeys.ts";

const CONSENT = "Allow Sunny Photo Prints to use your Grantor account?";

describeJourneys("trouble", (journey) => {
  it("says the same of a wrong address and a wrong password, and asks to wait after many", async () => {
    const { grantor } = journey;
    const person = await grantor.person();
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    const alert = visitor.page.getByRole("alert");
    await journey.begin(visitor, client);
    await visitor.at("Sign in");
    await visitor.press("Sign in");
    await alert.getByText("Enter your password.").waitFor();
    await visitor.at("Sign in");
    const said: (string | null)[] = [];
    for (const email of [person.email, "nobody@example.org"]) {
      await journey.signIn(visitor, { email, password: "not the password" });
      await alert.getByText("do not open an account").waitFor();
      await visitor.at("Sign in");
      said.push(await alert.textContent());
    }
    expect(said[0]).toBe(said[1]);
    expect(await visitor.page.getByLabel("E-mail address").inputValue()).toBe("nobody@example.org");
    for (let tries = 0; tries < 8; tries++) {
      await journey.signIn(visitor, { email: person.email, password: "not the password" });
      if (await alert.getByText("There were too many tries. Wait").isVisible()) break;
    }
    await alert.getByText("There were too many tries. Wait").waitFor();
    await visitor.at("Sign in");
    // Somebody else is let in meanwhile.
    await journey.signIn(visitor, await grantor.person());
    await visitor.at(CONSENT);
  });

  it("refuses a form whose cookies are gone, and the page reloaded works", async () => {
    const visitor = await journey.visitor();
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    await visitor.at("Sign in");
    const address = visitor.page.url();
    const kept = (await visitor.context.cookies()).filter(({ name }) => !name.startsWith("grantor_csrf"));
    await visitor.context.clearCookies();
    await visitor.context.addCookies(kept);
    const person = await journey.grantor.person();
    await journey.signIn(visitor, person);
    await visitor.at("This form is out of date");
    await visitor.page.goto(address);
    await journey.signIn(visitor, person);
    await visitor.at("Your account");
  });

  it("says that a sign-in has expired, or was begun in another browser", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await visitor.at("Sign in");
    const stranger = await journey.visitor("mouse");
    await stranger.page.goto(visitor.page.url());
    await stranger.at("This sign-in is no longer open");
    await journey.later(3700, async () => {
      await journey.signIn(visitor, await journey.grantor.person());
      await visitor.at("This sign-in is no longer open");
    });
  });

  it("goes back after the decision, and forward to an answer all the same", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await journey.signIn(visitor, await journey.grantor.person());
    await visitor.at(CONSENT);
    await visitor.press("Allow");
    await journey.arrival(visitor);
    await visitor.page.goBack();
    await visitor.at("This sign-in is no longer open");
    await journey.begin(visitor, client);
    expect((await journey.arrival(visitor)).parameters.get("code")).toBeTruthy();
  });

  it("opens two tabs at once in a browser without cookies, and finishes both", async () => {
    const [photos, music] = [await journey.client("Sunny Photo Prints"), await journey.client("Night Radio")];
    const person = await journey.grantor.person();
    const first = await journey.visitor();
    const second = await first.tab();
    await Promise.all([journey.begin(first, photos), journey.begin(second, music)]);
    await first.at("Sign in");
    await second.at("Sign in");
    await journey.signIn(first, person);
    await first.at(CONSENT);
    await journey.signIn(second, person);
    await second.at("Allow Night Radio to use your Grantor account?");
    await first.press("Allow");
    expect((await journey.arrival(first)).parameters.get("code")).toBeTruthy();
    await second.press("Allow");
    expect((await journey.arrival(second)).parameters.get("code")).toBeTruthy();
    await journey.begin(first, photos);
    await journey.arrival(first);
    await first.page.goto(`${journey.grantor.url}/account/applications`);
    await first.at("Connected applications");
    for (const name of ["Sunny Photo Prints", "Night Radio"]) expect(await first.words()).toContain(name);
  });

  it("shows an error page where no answer can be sent", async () => {
    const { url } = journey.grantor;
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    const proof = pkce();
    await visitor.page.goto(authorizationUrl(url, { ...client, client_id: "nobody" }, proof));
    await visitor.at("This request cannot be completed");
    expect(await visitor.words()).toContain("invalid_client");
    await visitor.page.goto(authorizationUrl(url, { ...client, redirect_uri: "https://evil.example/" }, proof));
    await visitor.at("This request cannot be completed");
    const words = await visitor.words();
    for (const told of ["invalid_redirect_uri", "Sunny Photo Prints", "Reference"]) expect(words).toContain(told);
    await visitor.page.goto(`${url}/nowhere`);
    await visitor.at("There is nothing here");
    await visitor.follow("Go to the start page");
    await visitor.at("One account, many applications");
    await visitor.page.goto(`${url}/verify-email?token=guess`);
    await visitor.at("This link does not work any more");
    await visitor.page.goto(`${url}/oauth/nowhere`);
    await visitor.page.getByRole("heading", { level: 1 }).waitFor();
  });

  it("keeps long names and many wishes readable", async () => {
    const { grantor } = journey;
    const audience = "https://api.a-very-long-host-name.subdomain.of-a-company.example/with/a/path";
    const verbs = ["read", "write", "share", "delete", "export", "annotate"];
    const suffix = journey.stores.redisUrl === undefined ? "one" : "two";
    const scopes = verbs.map((verb) => ({
      name: `things-${suffix}:${verb}`,
      description: `${verb} every one of your things, wherever they are kept`,
    }));
    await grantor.resource(audience, { name: "Things", scopes });
    const scope = ["openid", "profile", "email", "address", "phone", "offline_access", ...scopes.map(({ name }) => name)].join(" ");
    const name = "Vereinigte Donaudampfschifffahrtsgesellschaftskapitänsmützenfabrik";
    const client = await journey.client(name, { metadata: { scope } });
    const visitor = await journey.visitor();
    await journey.begin(visitor, client, { scope, resource: audience, prompt: "consent" });
    await journey.signIn(visitor, await grantor.person({ name: "Wolfeschlegelsteinhausenbergerdorff ".repeat(3) }));
    await visitor.at(`Allow ${name} to use your Grantor account?`);
    const words = await visitor.words();
    for (const { description } of scopes) expect(words).toContain(description);
    expect(words).toContain("while you are away");
    await visitor.press("Allow");
    await journey.arrival(visitor);
    await visitor.page.goto(`${grantor.url}/account`);
    await visitor.at("Your account");
  });
});
