/** Passkeys in Chromium, with an authenticator of its own devising (WebDriver's, WebAuthn §11). */
import { decodeJwt } from "jose";
import type { CDPSession } from "playwright-core";
import { expect, it } from "vitest";
import { redeem, type Tokens } from "../support/grantor.ts";
import { describeJourneys } from "./journeys.ts";
import type { Visitor } from "./visitor.ts";

interface Device {
  /** Whether somebody is there who touches it. */
  present(is: boolean): Promise<void>;
  /** Whether it knows who touches it. */
  verifies(is: boolean): Promise<void>;
}

/** Gives the visitor's tab an authenticator that keeps passkeys. */
async function withDevice(visitor: Visitor): Promise<Device> {
  const cdp: CDPSession = await visitor.context.newCDPSession(visitor.page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    present: async (enabled) => void (await cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled })),
    verifies: async (isUserVerified) => void (await cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified })),
  };
}

/** A browser that offers no passkeys among what it fills in, so that the button alone asks for one. */
const withoutAutofill = (visitor: Visitor) =>
  visitor.context.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });

describeJourneys("passkeys", (journey) => {
  const manner = () => (journey.stores.redisUrl === undefined ? "keyboard on a phone" : "mouse");

  async function withPasskey(visitor: Visitor, name = "My phone") {
    const person = await journey.grantor.person();
    await visitor.page.goto(`${journey.grantor.url}/sign-in?return_to=/account/passkeys`);
    await journey.signIn(visitor, person);
    await visitor.at("Passkeys");
    await visitor.fill("Name (optional)", name);
    await visitor.press("Add a passkey");
    await visitor.page.getByText("Your passkey was added.").waitFor();
    await visitor.at("Passkeys");
    return person;
  }
  /** Goes to an application, signs in there by whatever `how` does, and brings back the ID token's claims. */
  async function signInAt(visitor: Visitor, how: () => Promise<void>) {
    const client = await journey.client("Sunny Photo Prints");
    const proof = await journey.begin(visitor, client, { scope: "openid" });
    await how();
    await visitor.at("Allow Sunny Photo Prints to use your Grantor account?");
    await visitor.press("Allow");
    const { parameters } = await journey.arrival(visitor);
    const tokens = (await (await redeem(journey.grantor, client, parameters.get("code") ?? "", proof)).json()) as Tokens;
    return decodeJwt(tokens.id_token ?? "");
  }

  it("is added, opens the account by the button, and does not when it is removed", async () => {
    const visitor = await journey.visitor(manner());
    await withoutAutofill(visitor);
    const device = await withDevice(visitor);
    const person = await withPasskey(visitor);
    expect(await visitor.words()).toContain("My phone");
    expect((await journey.mailTo(person.email)).text).toContain("A passkey was added to your account");

    await visitor.context.clearCookies();
    const claims = await signInAt(visitor, async () => {
      await visitor.at("Sign in");
      await visitor.press("Sign in with a passkey");
    });
    expect(claims).toMatchObject({ sub: person.id, acr: "urn:grantor:acr:passkey", amr: ["hwk", "user", "mfa"] });

    // A second one of the same device is not made, and the page says why.
    await visitor.page.goto(`${journey.grantor.url}/account/passkeys`);
    await visitor.at("Passkeys");
    await visitor.page.getByRole("button", { name: "Add a passkey" }).press("Enter");
    await visitor.page.getByText("This device has a passkey for your account already.").waitFor();
    await visitor.at("Passkeys");

    await visitor.press(/^Remove/);
    await visitor.page.getByText("The passkey was removed.").waitFor();
    expect((await journey.mailTo(person.email)).text).toContain("A passkey was removed from your account");
    await visitor.context.clearCookies();
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    await visitor.at("Sign in");
    await visitor.press("Sign in with a passkey");
    await visitor.page.getByText("This passkey does not open an account here.").waitFor();
    await visitor.at("Sign in");

    // Whom the device does not know it signs nothing for.
    await device.verifies(false);
    await visitor.page.getByRole("button", { name: "Sign in with a passkey" }).press("Enter");
    await visitor.page.getByText("That did not work, or it was cancelled.").waitFor();
    await journey.signIn(visitor, person);
    await visitor.at("Your account");
  });

  it("is offered where the address is typed, takes no focus, and is a second factor after a password", async () => {
    const visitor = await journey.visitor(manner());
    const device = await withDevice(visitor);
    const person = await withPasskey(visitor);

    await visitor.context.clearCookies();
    await device.present(false);
    await visitor.page.goto(`${journey.grantor.url}/sign-in`);
    await visitor.at("Sign in");
    await visitor.page.waitForFunction(() => document.activeElement?.getAttribute("name") === "email");
    await journey.signIn(visitor, person);
    await visitor.at("Second step");
    await device.present(true);
    await visitor.press("Use a passkey");
    await visitor.at("Your account");

    await visitor.context.clearCookies();
    const claims = await signInAt(visitor, async () => {});
    expect(claims).toMatchObject({ sub: person.id, acr: "urn:grantor:acr:passkey" });
  });

  it("can be named and removed without scripts, and the page says what adding one needs", async () => {
    const visitor = await journey.visitor("without scripts");
    const { grantor } = journey;
    const person = await grantor.person();
    await visitor.page.goto(`${grantor.url}/sign-in?return_to=/account/passkeys`);
    await journey.signIn(visitor, person);
    await visitor.at("Passkeys");
    await grantor.services.database.prisma.passkey.create({
      data: {
        id: `from-elsewhere-${person.id}`,
        accountId: person.id,
        publicKey: new Uint8Array(1),
        rpId: "login.example.org",
        name: "Old phone",
      },
    });
    await visitor.page.reload();
    expect(await visitor.words()).toContain("To add a passkey you need a browser that knows them");
    expect(await visitor.page.getByRole("button", { name: "Add a passkey" }).isVisible()).toBe(false);
    expect(await visitor.words()).toContain("made when this server had another address");
    await visitor.page.getByText("Rename").click();
    await visitor.fill("Name", "Older phone");
    await visitor.press("Save name");
    await visitor.at("Passkeys");
    expect(await visitor.words()).toContain("Older phone");
    await visitor.press(/^Remove/);
    await visitor.at("Passkeys");
    expect(await visitor.words()).toContain("You have no passkey yet.");
  });
});
