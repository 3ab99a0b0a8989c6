/** Developers register applications and look after them: by keyboard on a phone, and without scripts. */
import { expect, it } from "vitest";
import { waitFor } from "../support/wait-for.ts";
import { describeJourneys } from "./journeys.ts";
import type { Visitor } from "./visitor.ts";

const LOCAL = "http://localhost:4000/callback";

describeJourneys("the developers' portal", (journey) => {
  /** Signs somebody in and leads them to a form for a new application. */
  async function begin(visitor: Visitor, kind: string): Promise<void> {
    await visitor.page.goto(`${journey.grantor.url}/apps`);
    await journey.signIn(visitor, await journey.grantor.person());
    await visitor.at("Your applications");
    await another(visitor, kind);
  }
  async function another(visitor: Visitor, kind: string): Promise<void> {
    await visitor.follow("Register an application");
    await visitor.at("Register an application");
    await visitor.follow(kind);
    await visitor.at("Register an application");
  }
  const valueIn = (visitor: Visitor, label: string) => visitor.page.getByLabel(label, { exact: true }).inputValue();

  it("registers an application of each kind, and shows its secret once", async () => {
    const visitor = await journey.visitor();
    await journey.grantor.resource("https://notes.example/api", { scopes: [{ name: "notes:read", description: "Read notes" }] });
    await begin(visitor, "Web application");
    const offers = async () =>
      (await (await visitor.context.request.get(`${journey.grantor.url}/apps/new/service`)).text()).includes("notes:read");
    await waitFor("the server to hear of the resource", offers);
    expect(await valueIn(visitor, "Where people come back to after they signed in")).toBe(LOCAL);
    await visitor.press("Register it");
    await visitor.at("Register an application");
    await visitor.page.getByRole("alert").waitFor();
    await visitor.fill("Name", "Notes");
    await visitor.press("Register it");
    await visitor.at("Notes is registered");
    const secret = await valueIn(visitor, "Client secret");
    expect(secret).toMatch(/^[\w-]{43}$/);
    if (visitor.manner !== "without scripts") await visitor.page.getByRole("button", { name: "Copy (Client secret)" }).waitFor();
    // Neither a reload nor the way back shows it again.
    await visitor.page.goto(`${journey.grantor.url}/apps`);
    await visitor.at("Your applications");
    await visitor.page.goBack();
    await visitor.at("Notes is registered");
    expect(await visitor.words()).toContain("Its secret was shown once");
    expect(await visitor.page.content()).not.toContain(secret);

    for (const [kind, hasSecret] of Object.entries({
      "Single-page app": false,
      "Native app": false,
      Device: false,
      "Machine to machine": true,
    })) {
      await visitor.page.goto(`${journey.grantor.url}/apps`);
      await visitor.at("Your applications");
      await another(visitor, kind);
      await visitor.fill("Name", `A ${kind}`);
      if (hasSecret) await visitor.page.getByLabel("Read notes notes:read").check();
      await visitor.press("Register it");
      await visitor.at(`A ${kind} is registered`);
      expect(await visitor.page.getByLabel("Client secret", { exact: true }).count()).toBe(hasSecret ? 1 : 0);
    }
    await visitor.page.goto(`${journey.grantor.url}/apps`);
    await visitor.at("Your applications");
    for (const name of ["Notes", "A Device", "A Machine to machine"]) expect(await visitor.words()).toContain(name);

    await visitor.follow("Notes");
    await visitor.at("Notes");
    await visitor.follow("Keys");
    await visitor.at("Keys");
    await visitor.press("Save");
    await visitor.page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
  });

  it("explains what is wrong with an address: while it is typed, where there are scripts, and when it is sent", async () => {
    const visitor = await journey.visitor();
    const addresses = "Where people come back to after they signed in";
    await begin(visitor, "Single-page app");
    await visitor.fill("Name", "Pictures");
    await visitor.fill(addresses, "http://pictures.example/cb");
    const explained = visitor.page.getByText("Plain http is for your own computer alone");
    if (visitor.manner !== "without scripts") {
      await visitor.fill("Where people go after they signed out", "");
      await explained.waitFor();
      await visitor.fill(addresses, LOCAL);
      await visitor.fill("Name", "Pictures");
      await explained.waitFor({ state: "detached" });
      await visitor.page.locator("#redirect_uris-lines").getByText("right for development").waitFor();
      await visitor.fill(addresses, "http://pictures.example/cb");
    }
    await visitor.press("Register it");
    await visitor.at("Register an application");
    await explained.waitFor();
    await visitor.fill(addresses, "https://pictures.example/cb");
    await visitor.press("Register it");
    await visitor.at("Pictures is registered");

    await visitor.follow("See all its settings");
    await visitor.at("Pictures");
    await visitor.follow("What it may ask for");
    await visitor.at("What it may ask for");
    await visitor.press("Save");
    await visitor.page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    await visitor.at("What it may ask for");
    await visitor.follow("Overview");
    await visitor.at("Pictures");
    await visitor.follow("Token lifetimes");
    await visitor.at("Token lifetimes");
    await visitor.page.getByLabel("Access tokens", { exact: true }).selectOption({ label: "5 minutes" });
    await visitor.press("Save");
    await visitor.page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    expect(await valueIn(visitor, "Access tokens")).toBe("300");

    for (const section of ["Addresses", "Name and links", "Extra protection"]) {
      await visitor.follow("Overview");
      await visitor.at("Pictures");
      await visitor.follow(section);
      await visitor.at(section);
      await visitor.press("Save");
      await visitor.page.getByRole("status").filter({ hasText: "Saved." }).waitFor();
    }
    await visitor.follow("Overview");
    await visitor.at("Pictures");
    await visitor.follow("Quick starts");
    await visitor.at("Quick starts");
    await visitor.follow("JavaScript in the browser");
    await visitor.at("Quick start: JavaScript in the browser");
  });
});
