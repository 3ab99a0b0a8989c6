/** The pages of an account in the states that they can be in. */
import { PROFILE_CLAIMS } from "../../src/accounts/profile.ts";
import { text } from "../../src/i18n/messages.ts";
import type { Sample } from "./page-sample.ts";

const EMPTY_PROFILE = Object.fromEntries(["name", ...PROFILE_CLAIMS].map((field) => [field, ""]));
/** What every page of the account has. */
export const accountPage = {
  person: { email: "ada@example.org", name: "Ada Lovelace" },
  sections: [
    { path: "/account", label: text("account:sections.overview"), current: false },
    { path: "/account/profile", label: text("account:sections.profile"), current: true },
    { path: "/account/applications", label: text("account:sections.applications"), current: false },
  ],
};

export const accountSamples: Record<string, Sample> = {
  account: {
    view: "account/overview",
    model: {
      ...accountPage,
      sections: accountPage.sections.map((section, index) => ({ ...section, current: index === 0 })),
      notice: text("account:done.password_changed"),
      emailVerified: true,
      roles: ["admin", "auditor"],
      since: new Date("2025-03-01"),
      protection: { passwordChanged: new Date("2026-02-03"), twoStep: false, passkeys: 2 },
      advice: [{ what: text("account:advice.second_factor"), path: "/account/passkeys", label: text("account:sections.passkeys") }],
      signOut: "/sign-out",
    },
  },
  "account-profile": {
    view: "account/profile",
    model: {
      ...accountPage,
      action: "/account/profile",
      profile: { ...EMPTY_PROFILE, name: "Ada Lovelace", picture: "ftp://x", locale: "de" },
      zones: ["Africa/Abidjan", "America/Argentina/ComodRivadavia"],
      languages: [{ value: "de", label: "Deutsch" }],
      errors: { fields: { picture: text("profile:faults.picture"), zoneinfo: text("profile:faults.zoneinfo") } },
    },
  },
  "account-email": { view: "account/email", model: { ...accountPage, action: "/account/email" } },
  "account-email-sent": {
    view: "account/email",
    model: { ...accountPage, action: "/account/email", sentTo: "ada@new.example", outbox: "/var/lib/grantor/outbox" },
  },
  "account-email-wrong": {
    view: "account/email",
    model: { ...accountPage, action: "/account/email", typed: "ada", errors: { fields: { email: text("profile:email.same") } } },
  },
  "account-email-confirm": {
    view: "account/email-confirm",
    model: { ...accountPage, action: "/account/email/confirm", newEmail: "a.very.long.address.of.somebody@department.university.example" },
  },
  "account-password": {
    view: "account/password",
    model: {
      ...accountPage,
      action: "/account/password",
      hasPassword: true,
      minimumLength: 15,
      errors: { fields: { current: text("profile:password.wrong") } },
    },
  },
  "account-password-first": {
    view: "account/password",
    model: { ...accountPage, action: "/account/password", hasPassword: false, minimumLength: 8 },
  },
  "account-events": {
    view: "account/events",
    model: {
      ...accountPage,
      zone: "America/New_York",
      days: 90,
      events: [
        { at: new Date("2026-03-01T12:00Z"), what: text("events:refused.second_step"), by: [], address: "2001:db8::1", failed: true },
        {
          at: new Date("2026-02-01T13:00Z"),
          what: text("events:kinds.sign_in"),
          by: [text("events:factors.password"), text("events:factors.app")],
          address: "192.0.2.1",
          failed: false,
        },
        {
          at: new Date("2026-02-01T12:00Z"),
          what: text("events:kinds.consent"),
          by: [],
          client: "Vereinigte Donaudampfschifffahrtsgesellschaftskapitänsmützenfabrik",
          address: "192.0.2.1",
          place: "Schweiz",
          failed: false,
        },
        { at: new Date("2026-01-01T12:00Z"), what: text("events:kinds.account_updated"), by: [], failed: false },
      ],
      newest: "/account/events",
      older: "/account/events?before=1.1",
    },
  },
  "account-no-events": { view: "account/events", model: { ...accountPage, days: 90, events: [] } },
  "account-data": { view: "account/data", model: { ...accountPage, action: "/account/data" } },
  "account-delete": {
    view: "account/delete",
    model: {
      ...accountPage,
      action: "/account/delete",
      applications: [],
      days: 14,
      typed: "adda@example.org",
      errors: { fields: { email: text("deletion:type_address", { email: accountPage.person.email }) } },
    },
  },
  "account-delete-at-once": {
    view: "account/delete",
    model: { ...accountPage, action: "/account/delete", days: 0, applications: ["Sunny Photo Prints"] },
  },
  "account-deleted": {
    view: "account-deleted",
    model: { email: accountPage.person.email, deleteAt: new Date("2026-04-01"), signIn: "/sign-in" },
  },
  "account-gone": { view: "account-deleted", model: { email: accountPage.person.email, signIn: "/sign-in" } },
  "deletion-pending": {
    view: "deletion-pending",
    model: { action: "/interaction/x/deletion", email: accountPage.person.email, deleteAt: new Date("2026-04-01") },
  },
  "account-passkeys": {
    view: "account/passkeys",
    model: {
      ...accountPage,
      notice: text("account:done.passkey_added"),
      action: "/account/passkeys",
      passkey: { options: "/account/passkeys/options", action: "/account/passkeys" },
      passkeys: [
        {
          id: "a",
          name: "iCloud Keychain",
          createdAt: new Date("2026-03-01"),
          lastUsedAt: new Date("2026-04-01T10:30:00Z"),
          synced: true,
          works: true,
        },
        {
          id: "b",
          name: "Vereinigte Donaudampfschifffahrtsgesellschaftskapitänsmützenfabrik",
          createdAt: new Date("2026-04-01"),
          synced: false,
          works: false,
        },
      ],
      longestName: 80,
      recoveryCodes: "/account/two-step",
    },
  },
  "account-passkeys-refused": {
    view: "account/passkeys",
    model: {
      ...accountPage,
      action: "/account/passkeys",
      passkey: { options: "/account/passkeys/options", action: "/account/passkeys" },
      passkeys: [{ id: "a", name: "My phone", createdAt: new Date("2026-03-01"), synced: true, works: true }],
      longestName: 80,
      errors: { form: text("factors:password_too_short") },
      choosePassword: "/account/password",
    },
  },
  "account-passkeys-none": {
    view: "account/passkeys",
    model: { ...accountPage, action: "/account/passkeys", passkeys: [], longestName: 80 },
  },
};
