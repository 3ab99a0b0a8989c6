/** The second step of a sign-in, and two-step sign-in on the account's pages, in the states that they can be in. */
import { text } from "../../src/i18n/messages.ts";
import { authenticatorView } from "../../src/interactions/authenticator-form.ts";
import { accountPage } from "./account-page-samples.ts";
import type { Sample } from "./page-sample.ts";

const client = { name: "Sunny Photo Prints", verified: true };
const person = accountPage.person;
const secret = "4FPPQNLJCXWANAR4LENGFDDZN7VNHEEP";
const authenticator = await authenticatorView({
  sealed: "",
  secret,
  uri: `otpauth://totp/Grantor:ada%40example.org?secret=${secret}&issuer=Grantor`,
});
const step = { action: "/step", cancel: "/cancel", another: "/another", person };
const codes = ["k3v9m-0xq2r", "7n1bz-h4t8w", "p2c5d-y6j0s", "g9e3f-a1v7k", "m4r8x-q2z5n", "b0h6t-w3p9c", "d7y1j-s5g2e", "f8a4v-k6m0r"];
const twoStep = {
  ...accountPage,
  setUp: "/account/two-step/set-up",
  remove: "/account/two-step/remove",
  renew: "/account/two-step/recovery-codes",
  passkeysPage: "/account/passkeys",
};

export const secondFactorSamples: Record<string, Sample> = {
  "second-factor": {
    view: "second-factor",
    model: { ...step, client, asks: "app", recovery: "/step?use=recovery", passkey: { options: "/options", action: "/passkey" } },
  },
  "second-factor-wrong": {
    view: "second-factor",
    model: { ...step, asks: "app", recovery: "/recovery", errors: { fields: { code: text("factors:code_wrong") } } },
  },
  "second-factor-passkey": {
    view: "second-factor",
    model: { ...step, client, recovery: "/recovery", passkey: { options: "/options", action: "/passkey" } },
  },
  "second-factor-recovery": {
    view: "second-factor",
    model: {
      ...step,
      client,
      asks: "recovery",
      hidden: { use: "recovery" },
      back: "/step",
      errors: { form: text("factors:recovery_wrong") },
    },
  },
  "second-factor-set-up": {
    view: "second-factor-set-up",
    model: { ...step, client, byRole: false, hidden: { set_up: "x" }, authenticator },
  },
  "second-factor-set-up-wrong": {
    view: "second-factor-set-up",
    model: { ...step, client, byRole: true, authenticator, errors: { fields: { code: text("factors:code_wrong_set_up") } } },
  },
  "second-factor-missing": { view: "second-factor-missing", model: { client, cancel: "/cancel", another: "/another" } },
  "recovery-codes": { view: "recovery-codes", model: { codes, next: "/next" } },
  "recovery-code-used": { view: "recovery-code-used", model: { left: 7, next: "/next" } },
  "recovery-code-last": { view: "recovery-code-used", model: { left: 0, next: "/next" } },
  "account-two-step-off": { view: "account/two-step", model: { ...twoStep, totp: false, passkeys: 0, recoveryCodes: 0, few: false } },
  "account-two-step-on": {
    view: "account/two-step",
    model: { ...twoStep, totp: true, passkeys: 2, recoveryCodes: 3, few: true, choosePassword: "/account/password" },
  },
  "account-two-step-set-up": {
    view: "account/two-step-set-up",
    model: {
      ...accountPage,
      action: "/set-up",
      hidden: { set_up: "x" },
      authenticator,
      replaces: true,
      signsOut: true,
      back: "/account/two-step",
    },
  },
  "account-recovery-codes": { view: "account/recovery-codes", model: { ...accountPage, codes, back: "/account/two-step" } },
};
