/** Developers try their application, read what went wrong, make another secret, invite somebody and delete it: by keyboard on a phone, and without scripts. */
import { expect, it } from "vitest";
import { waitFor } from "../support/wait-for.ts";
import { describeJourneys } from "./journeys.ts";

describeJourneys("an application in its developer's care", (journey) => {
  it("is tried, explained, given another secret, shared and deleted", async () => {
    const visitor = await journey.visitor();
    const person = await journey.grantor.person();
    const { url } = journey.grantor;
    const app = await journey.grantor.client({ owner: person.id, createdBy: person.id, metadata: { client_name: "Notes" } });
    const at = (below: string) => `${url}/apps/${app.client_id}${below}`;
    await visitor.page.goto(at("/try"));
    await journey.signIn(visitor, person);
    await visitor.at("Try it");
    await visitor.press("Try it");
    await visitor.at(/Notes/);
    await visitor.press(/Allow/);
    await visitor.at("A trial run");
    const words = await visitor.words();
    for (const shown of ["It works: the application got its tokens.", person.email, "code_verifier"]) expect(words).toContain(shown);
    expect(await visitor.page.content()).not.toMatch(/eyJ[\w-]+\.eyJ/);
    await visitor.press("End what this run was given");
    await visitor.at("A trial run");

    await fetch(`${url}/oauth/token`, {
      method: "POST",
      headers: { Authorization: `Basic ${Buffer.from(`${app.client_id}:mistyped`).toString("base64")}` },
      body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: "x" }),
    });
    await waitFor("the failure", async () =>
      (await (await visitor.context.request.get(at("/failures"))).text()).includes("The client secret was wrong."),
    );
    await visitor.page.goto(at("/failures"));
    await visitor.at("Failed requests");

    await visitor.page.goto(at("/secret"));
    await visitor.at("Secret");
    await visitor.press("Make a new secret");
    await visitor.at("Secret");
    expect(await visitor.page.getByLabel("Client secret", { exact: true }).inputValue()).toMatch(/^[\w-]{43}$/);

    const friend = await journey.grantor.person();
    await visitor.page.goto(at("/owners"));
    await visitor.at("Who looks after it");
    await visitor.fill("E-mail address", friend.email);
    await visitor.press("Send the invitation");
    await visitor.at("Who looks after it");
    const invited = await journey.visitor();
    await invited.page.goto((await journey.mailTo(friend.email)).link);
    await journey.signIn(invited, friend);
    await invited.at("Look after an application together");
    await invited.press("Accept");
    await invited.at("Notes");
    await visitor.page.goto(at("/owners"));
    await visitor.at("Who looks after it");
    await visitor.press(/^Remove/);
    await visitor.page.getByText("Removed.").waitFor();
    expect(await visitor.words()).not.toContain(friend.email);

    await visitor.page.goto(at("/delete"));
    await visitor.at("Delete this application");
    await visitor.fill("Type the name of the application to confirm", "Notes");
    await visitor.press("Delete the application");
    await visitor.at("Your applications");
  });
});
