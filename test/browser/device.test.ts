/** RFC 8628 in the browser: a person types what their device shows, sees what it is, and lets it in or not. */
import { expect, it } from "vitest";
import { answerOf, type Person, post, type SeededClient } from "../support/grantor.ts";
import { describeJourneys } from "./journeys.ts";

describeJourneys("connecting a device", (journey) => {
  interface Waiting {
    client: SeededClient;
    user_code: string;
    verification_uri_complete: string;
    poll(): Promise<{ status: number; body: Record<string, unknown> }>;
  }

  async function device(): Promise<Waiting> {
    const client = await journey.grantor.client({ type: "device", metadata: { client_name: "Living-room TV" } });
    const { body } = await answerOf(post(`${journey.grantor.url}/oauth/device`, client, { scope: "openid email" }));
    const parameters = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: String(body.device_code) };
    return {
      client,
      user_code: String(body.user_code),
      verification_uri_complete: String(body.verification_uri_complete),
      poll: () => answerOf(post(`${journey.grantor.url}/oauth/token`, client, parameters)),
    };
  }

  async function typeCode(code: string) {
    const visitor = await journey.visitor();
    await visitor.page.goto(`${journey.grantor.url}/device`);
    await visitor.at("Connect a device");
    await visitor.fill("Code", code);
    await visitor.press("Continue");
    return visitor;
  }

  it("asks again after a wrong code, then for the person, and lets the device in", async () => {
    const waiting = await device();
    const person: Person = await journey.grantor.person();
    const visitor = await typeCode("BBBB-BBBB");
    await visitor.page.getByRole("alert").waitFor();
    await visitor.at("Connect a device");
    await visitor.fill("Code", waiting.user_code.toLowerCase().replace("-", ""));
    await visitor.press("Continue");
    await visitor.at("Is this your device?");
    const words = await visitor.words();
    for (const told of ["Living-room TV", waiting.user_code]) expect(words).toContain(told);
    await visitor.press("Continue");
    await journey.signIn(visitor, person);
    await visitor.at("Allow Living-room TV to use your Grantor account?");
    expect(await visitor.words()).toContain("your device hears of it");
    expect((await waiting.poll()).body).toMatchObject({ error: "authorization_pending" });
    await visitor.press("Allow");
    await visitor.at("Device connected");
    expect((await waiting.poll()).body).toHaveProperty("access_token");
    await visitor.follow("Go to your account");
    await visitor.at("Your account");
    await visitor.follow("Connected applications");
    await visitor.at("Connected applications");
    expect(await visitor.words()).toContain("Living-room TV");
  });

  it("stops when it is not the person's device", async () => {
    const waiting = await device();
    const visitor = await typeCode(waiting.user_code);
    await visitor.at("Is this your device?");
    await visitor.press("Stop");
    await visitor.at("Device not connected");
    expect((await waiting.poll()).body).toMatchObject({ error: "access_denied" });
    await visitor.page.goto(`${journey.grantor.url}/device`);
    await visitor.at("Connect a device");
    await visitor.fill("Code", waiting.user_code);
    await visitor.press("Continue");
    await visitor.page.getByRole("alert").getByText("used already").waitFor();
  });

  it.each(["Deny", "Cancel and go back to Living-room TV"])("keeps the device out after “%s”", async (button) => {
    const waiting = await device();
    const visitor = await typeCode(waiting.user_code);
    await visitor.at("Is this your device?");
    await visitor.press("Continue");
    if (button === "Deny") {
      await journey.signIn(visitor, await journey.grantor.person());
      await visitor.at("Allow Living-room TV to use your Grantor account?");
    } else await visitor.at("Sign in");
    await visitor.press(button);
    await visitor.at("Device not connected");
    expect((await waiting.poll()).body).toMatchObject({ error: "access_denied" });
  });

  it("takes the code from the link that the device shows, and still asks", async () => {
    const waiting = await device();
    const visitor = await journey.visitor();
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    const person = await journey.grantor.person();
    await journey.signIn(visitor, person);
    await visitor.at("Your account");
    await visitor.page.goto(waiting.verification_uri_complete);
    if (visitor.manner === "without scripts") await visitor.press("Continue");
    await visitor.at("Is this your device?");
    expect(await visitor.words()).toContain(person.email);
    await visitor.press("Continue");
    await visitor.at("Allow Living-room TV to use your Grantor account?");
    await visitor.press("Allow");
    await visitor.at("Device connected");
  });

  it("has the page open in two tabs", async () => {
    const waiting = await device();
    const visitor = await journey.visitor();
    const other = await visitor.tab();
    for (const tab of [visitor, other]) {
      await tab.page.goto(`${journey.grantor.url}/device`);
      await tab.at("Connect a device");
    }
    await visitor.fill("Code", waiting.user_code);
    await visitor.press("Continue");
    await visitor.page.getByRole("alert").getByText("another tab").waitFor();
    expect(await visitor.page.getByLabel("Code").inputValue()).toBe(waiting.user_code);
    await visitor.press("Continue");
    await visitor.at("Is this your device?");
  });
});
