/** Journeys of people in Chromium: one Grantor on each arrangement of stores, an application at an address of its own, a browser. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { NewClient } from "../../src/clients/client-store.ts";
import { launch } from "../support/chromium.ts";
import { describeFlows, type Flow, type FlowOptions } from "../support/flows.ts";
import { authorizationUrl, type Person, type Pkce, pkce, type SeededClient } from "../support/grantor.ts";
import { type Arrival, type RelyingParty, startRelyingParty } from "../support/relying-party.ts";
import { waitFor } from "../support/wait-for.ts";
import { type Manner, type Visitor, visit } from "./visitor.ts";

export interface Journey extends Flow {
  readonly application: RelyingParty;
  /** Somebody at a browser without a past. The manner is by keyboard on one arrangement of stores and without scripts on the other. */
  visitor(manner?: Manner, elsewhere?: readonly string[]): Promise<Visitor>;
  /** An application of the relying party's. */
  client(name: string, options?: Partial<NewClient>): Promise<SeededClient>;
  /** Follows the application's link to sign-in. @returns what it needs to redeem the code */
  begin(visitor: Visitor, client: SeededClient, parameters?: Record<string, string>, method?: "get" | "post"): Promise<Pkce>;
  /** Fills in the sign-in form and sends it. */
  signIn(visitor: Visitor, person: Pick<Person, "email" | "password">): Promise<void>;
  /** From one page of the account to another; on a phone the way leads over the overview. */
  turnTo(visitor: Visitor, link: string, heading?: string): Promise<void>;
  /** Waits until the visitor is back at the application. @returns what they brought */
  arrival(visitor: Visitor): Promise<Arrival>;
  /** The newest mail to an address, and the link in it. */
  mailTo(email: string): Promise<{ text: string; link: string }>;
}

export function describeJourneys(name: string, tests: (journey: Journey) => void, options: FlowOptions = {}): void {
  describeFlows(
    name,
    (flow) => {
      let browser: Browser;
      let application: RelyingParty;
      let visitors: Visitor[] = [];
      beforeAll(async () => {
        browser = await launch();
        application = await startRelyingParty();
      });
      afterAll(async () => {
        await browser?.close();
        await application?.[Symbol.asyncDispose]();
      });
      afterEach(async () => {
        const leaving = visitors;
        visitors = [];
        for (const visitor of leaving) await visitor.leave();
      });

      tests({
        get grantor() {
          return flow.grantor;
        },
        get stores() {
          return flow.stores;
        },
        stored: flow.stored,
        later: flow.later,
        get application() {
          return application;
        },
        async visitor(manner = flow.stores.redisUrl === undefined ? "keyboard on a phone" : "without scripts", elsewhere = []) {
          const visitor = await visit(browser, manner, { issuer: flow.grantor.url, application: application.origin, elsewhere });
          visitors.push(visitor);
          return visitor;
        },
        client: (clientName, { metadata, ...rest } = {}) =>
          flow.grantor.client({
            ...rest,
            metadata: {
              client_name: clientName,
              redirect_uris: [application.redirectUri],
              post_logout_redirect_uris: [application.postLogoutUri],
              ...metadata,
            },
          }),
        async begin(visitor, client, parameters = {}, method = "get") {
          const proof = pkce();
          await visitor.page.goto(application.entrance(authorizationUrl(flow.grantor.url, client, proof, parameters), method));
          await (method === "post" ? visitor.press("Sign in") : visitor.follow("Sign in"));
          return proof;
        },
        async signIn(visitor, { email, password }) {
          await visitor.at("Sign in");
          await visitor.fill("E-mail address", email);
          await visitor.fill("Password", password);
          await visitor.press("Sign in");
        },
        async turnTo(visitor, link, heading = link) {
          const back = visitor.page.getByRole("link", { name: "Your account", exact: true });
          if (await back.isVisible()) {
            await visitor.follow("Your account");
            await visitor.at("Your account");
          }
          if (visitor.manner !== "keyboard on a phone" || link !== "Overview") await visitor.follow(link);
          await visitor.at(heading);
        },
        async arrival(visitor) {
          await visitor.at("Back at the application");
          return application.arrivals.at(-1) as Arrival;
        },
        mailTo: (email) => mailIn(join(flow.grantor.server.dataDir, "outbox"), email),
      });
    },
    options,
  );
}

/** Mail is written after the answer: it is waited for. */
function mailIn(outbox: string, to: string): Promise<{ text: string; link: string }> {
  return waitFor(`a mail to ${to}`, () => {
    const files = readdirSync(outbox)
      .filter((file) => file.endsWith(".eml"))
      .sort();
    const text = files.map((file) => readFileSync(join(outbox, file), "utf8")).findLast((mail) => mail.includes(`\r\nTo: ${to}\r\n`));
    const link = text === undefined ? undefined : /^http\S+$/m.exec(text)?.[0];
    return text !== undefined && link !== undefined && { text, link };
  });
}
