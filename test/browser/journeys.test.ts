/** People on their way to an application and back: sign in, decide, change their mind, sign out. */
import { expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { redeem, refresh, type Tokens, userinfo } from "../support/grantor.ts";
import { startUpstream, UPSTREAM_CLIENT } from "../support/upstream.ts";
import { waitFor } from "../support/wait-for.ts";
import { describeJourneys } from "./journeys.ts";

describeJourneys("sign-in, consent, account and sign-out", (journey) => {
  it("signs in, allows, and is not asked again", async () => {
    const { grantor } = journey;
    const client = await journey.client("Sunny Photo Prints");
    const person = await grantor.person();
    const visitor = await journey.visitor();
    const proof = await journey.begin(visitor, client, { scope: "openid profile email" });
    await visitor.at("Sign in");
    expect(await visitor.words()).toContain("Sunny Photo Prints asks you to sign in with your Grantor account.");
    await journey.signIn(visitor, person);
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    const words = await visitor.words();
    for (const told of [
      "Not verified.",
      person.email,
      "See your name",
      "See your e-mail address",
      new URL(journey.application.origin).host,
    ]) {
      expect(words).toContain(told);
    }
    await visitor.press("Allow");
    const { parameters } = await journey.arrival(visitor);
    expect(parameters.get("state")).toBe("the-state");
    const response = await redeem(grantor, client, parameters.get("code") ?? "", proof);
    expect(((await response.json()) as Tokens).id_token).toBeTruthy();

    await journey.begin(visitor, client, { scope: "openid email" });
    expect((await journey.arrival(visitor)).parameters.get("code")).toBeTruthy();
  });

  it("denies, and is asked again the next time", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await journey.signIn(visitor, await journey.grantor.person());
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Deny");
    const { parameters } = await journey.arrival(visitor);
    expect(Object.fromEntries(parameters)).toMatchObject({ error: "access_denied", state: "the-state", iss: journey.grantor.url });
    await journey.begin(visitor, client);
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
  });

  it("cancels instead of signing in", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await visitor.at("Sign in");
    await visitor.press("Cancel and go back to Sunny Photo Prints");
    expect((await journey.arrival(visitor)).parameters.get("error")).toBe("access_denied");
  });

  it("uses another account than the one that is signed in", async () => {
    const { grantor } = journey;
    const [ada, bob] = [await grantor.person(), await grantor.person({ name: "Bob Babbage" })];
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    const proof = await journey.begin(visitor, client, { scope: "openid email" });
    await journey.signIn(visitor, ada);
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Use another account");
    await journey.signIn(visitor, bob);
    // The engine ends the first session by a form of its own.
    if (visitor.manner === "without scripts") await visitor.press("Continue");
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    expect(await visitor.words()).toContain(`Bob Babbage, ${bob.email}`);
    await visitor.press("Allow");
    const { parameters } = await journey.arrival(visitor);
    const tokens = (await (await redeem(grantor, client, parameters.get("code") ?? "", proof)).json()) as Tokens;
    expect(await (await userinfo(grantor, tokens.access_token)).json()).toMatchObject({ sub: bob.id, email: bob.email });
  });

  it("comes back by a form post, under the policy of our pages", async () => {
    const client = await journey.client("Sunny Photo Prints");
    for (const manner of ["mouse", "without scripts"] as const) {
      const visitor = await journey.visitor(manner);
      await journey.begin(visitor, client, { response_mode: "form_post" });
      await journey.signIn(visitor, await journey.grantor.person());
      await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
      await visitor.press("Allow");
      if (manner === "without scripts") await visitor.press("Continue");
      const { method, parameters } = await journey.arrival(visitor);
      expect(method).toBe("POST");
      expect(parameters.get("code")).toBeTruthy();
    }
  });

  it("is sent by a form post of the application, and still signed in", async () => {
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    await journey.begin(visitor, client);
    await journey.signIn(visitor, await journey.grantor.person());
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Allow");
    await journey.arrival(visitor);
    await journey.begin(visitor, client, {}, "post");
    expect((await journey.arrival(visitor)).parameters.get("code")).toBeTruthy();
  });

  it("takes back what an application was allowed: its tokens end, and it has to ask again", async () => {
    const { grantor } = journey;
    const client = await journey.client("Sunny Photo Prints");
    const person = await grantor.person();
    const visitor = await journey.visitor();
    const proof = await journey.begin(visitor, client, { scope: "openid email" });
    await journey.signIn(visitor, person);
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Allow");
    const { parameters } = await journey.arrival(visitor);
    const tokens = (await (await redeem(grantor, client, parameters.get("code") ?? "", proof)).json()) as Tokens;
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(200);

    await visitor.page.goto(`${grantor.url}/account`);
    await visitor.at("Your account");
    await visitor.follow("Connected applications");
    await visitor.at("Connected applications");
    expect(await visitor.words()).toContain("Sunny Photo Prints");
    await visitor.press("Remove its access (Sunny Photo Prints)");
    await visitor.page.getByText("You have not allowed any application to use your account.").waitFor();
    await journey.turnTo(visitor, "Overview", "Your account");
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(401);
    expect((await refresh(grantor, client, tokens.refresh_token as string)).status).toBe(400);
    await journey.begin(visitor, client, { scope: "openid email" });
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
  });

  it("signs in with another provider, connects a second one, and disconnects the first", async () => {
    const { grantor } = journey;
    await using upstream = await startUpstream();
    const { identityProviders } = grantor.services;
    await identityProviders.create({ ...UPSTREAM_CLIENT, id: "acme", kind: "oidc", name: "Acme", issuer: upstream.issuer });
    await identityProviders.create({ ...UPSTREAM_CLIENT, id: "github", kind: "github", name: "Hub", base_url: upstream.issuer });
    const offered = async () => {
      const page = await new Agent().open(`${grantor.url}/sign-in`);
      return ["acme", "github"].every((id) => page.text.includes(`/federation/${id}"`));
    };
    await waitFor("the server to offer them", offered);
    upstream.person = { sub: "somebody", email: "somebody@upstream.example", email_verified: true, name: "Some Body" };
    upstream.user = { id: 7, login: "somebody" };
    const visitor = await journey.visitor(undefined, [upstream.issuer]);

    upstream.wrongs = { answer: { code: undefined, error: "access_denied" } };
    await visitor.page.goto(`${grantor.url}/sign-in`);
    await visitor.at("Sign in");
    await visitor.press("Continue with Acme");
    await visitor.at("Sign in");
    expect(await visitor.words()).toContain("You were not signed in at Acme.");
    upstream.wrongs = {};
    await visitor.press("Continue with Acme");
    await visitor.at("Your account");
    expect(await visitor.words()).toContain("somebody@upstream.example");

    await visitor.page.goto(`${grantor.url}/account/providers`);
    await visitor.at("Other providers");
    await visitor.press("Disconnect (Acme)");
    await visitor.at("Other providers");
    expect(await visitor.page.getByRole("alert").count()).toBe(1); // the last way in
    await visitor.press("Connect Hub");
    await visitor.at("Other providers");
    expect(await visitor.words()).toContain("The provider is connected.");
    await visitor.press("Disconnect (Acme)");
    await visitor.at("Other providers");
    expect(await visitor.words()).toContain("The provider is disconnected.");
    for (const id of ["acme", "github"]) await identityProviders.delete(id);
    await waitFor("the server to offer none", async () => !(await offered()));
  });

  it("signs in without an application, and out again", async () => {
    const { grantor } = journey;
    const person = await grantor.person();
    const visitor = await journey.visitor();
    await visitor.page.goto(`${grantor.url}/`);
    await visitor.at("One account, many applications");
    await visitor.follow("Sign in");
    await journey.signIn(visitor, person);
    await visitor.at("Your account");
    await visitor.page.goto(`${grantor.url}/`);
    await visitor.at("One account, many applications");
    await visitor.follow("Your account");
    await visitor.at("Your account");
    await visitor.follow("Sign out");
    await visitor.at("Sign out of Grantor?");
    expect(await visitor.words()).toContain(person.email);
    await visitor.press("Sign out");
    await visitor.at("One account, many applications");
    await visitor.page.goto(`${grantor.url}/account`);
    await visitor.at("Sign in");
    await visitor.press("Cancel");
    await visitor.at("One account, many applications");
  });

  it("signs out for an application, which ends its tokens, or stays signed in", async () => {
    const { grantor } = journey;
    const client = await journey.client("Sunny Photo Prints");
    const visitor = await journey.visitor();
    const proof = await journey.begin(visitor, client);
    await journey.signIn(visitor, await grantor.person());
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Allow");
    const { parameters } = await journey.arrival(visitor);
    const tokens = (await (await redeem(grantor, client, parameters.get("code") ?? "", proof)).json()) as Tokens;
    const leave = (more: Record<string, string>) =>
      visitor.page.goto(`${grantor.url}/oauth/logout?${new URLSearchParams({ id_token_hint: tokens.id_token ?? "", ...more })}`);

    await leave({});
    await visitor.at("Sign out of Grantor?");
    expect(await visitor.words()).toContain("Sunny Photo Prints asks to sign you out.");
    await visitor.press("Stay signed in");
    await visitor.at("You are still signed in");
    await visitor.follow("Go to your account");
    await visitor.at("Your account");

    await leave({ post_logout_redirect_uri: journey.application.postLogoutUri, state: "bye" });
    await visitor.at("Sign out of Grantor?");
    await visitor.press("Sign out");
    const { path, parameters: brought } = await journey.arrival(visitor);
    expect([path, brought.get("state")]).toEqual(["/signed-out", "bye"]);
    expect((await userinfo(grantor, tokens.access_token)).status).toBe(401);
  });

  it("signs out at the server alone, once and once more", async () => {
    const { grantor } = journey;
    const visitor = await journey.visitor();
    await visitor.page.goto(`${grantor.url}/sign-in`);
    await journey.signIn(visitor, await grantor.person());
    await visitor.at("Your account");
    await visitor.page.goto(`${grantor.url}/oauth/logout`);
    await visitor.at("Sign out of Grantor?");
    await visitor.press("Stay signed in");
    await visitor.at("You are still signed in");
    await visitor.page.goto(`${grantor.url}/oauth/logout`);
    await visitor.at("Sign out of Grantor?");
    const other = await visitor.tab();
    await other.page.goto(`${grantor.url}/oauth/logout`);
    await other.at("Sign out of Grantor?");
    await visitor.press("Sign out");
    await visitor.at("This form is out of date");
    await other.press("Sign out");
    await other.at("You are signed out");
    await visitor.page.goto(`${grantor.url}/oauth/logout/success`);
    await visitor.at("You are signed out");
    await visitor.follow("Sign in again");
    await visitor.at("Sign in");
    await visitor.page.goto(`${grantor.url}/oauth/logout`);
    if (visitor.manner === "without scripts") await visitor.press("Continue");
    await visitor.at("You are signed out");
  });
});
