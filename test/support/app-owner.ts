/** Somebody who looks after applications at `/apps`, in a browser without JavaScript. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach } from "vitest";
import type { NewClient } from "../../src/clients/client-store.ts";
import { Agent, type Page } from "./agent.ts";
import type { Flow } from "./flows.ts";
import { type Person, type SeededClient, signIn } from "./grantor.ts";
import { waitFor } from "./wait-for.ts";

export interface SignedIn {
  readonly person: Person;
  readonly agent: Agent;
}

export interface AppOwner {
  /** Another one for every test. */
  readonly person: Person;
  readonly agent: Agent;
  at(path: string): string;
  open(path: string, of?: Agent): Promise<Page>;
  appPath(app: SeededClient, below: string): string;
  /** What stands in a field that is there to be copied. */
  copied(page: Page, name: string): string;
  /** Sends the form whose action ends so. */
  submit(page: Page, action: string, typed?: Record<string, string>, of?: Agent): Promise<Page>;
  owned(by: Person, options?: Partial<NewClient>): Promise<SeededClient>;
  /** Somebody else. */
  signedIn(): Promise<SignedIn>;
  /** The newest mail to an address that holds these words. */
  mailTo(email: string, words: string): Promise<string>;
}

/** For the tests of a suite: registers what makes somebody new before each of them. */
export function appOwner(flow: Flow): AppOwner {
  let current: SignedIn;
  beforeEach(async () => {
    current = await signedIn();
  });

  async function signedIn(): Promise<SignedIn> {
    const [person, agent] = [await flow.grantor.person(), new Agent()];
    await signIn(flow.grantor, await flow.grantor.client(), person, { agent });
    return { person, agent };
  }
  const at = (path: string) => `${flow.grantor.url}${path}`;

  return {
    get person() {
      return current.person;
    },
    get agent() {
      return current.agent;
    },
    at,
    open: (path, of = current.agent) => of.open(at(path)),
    appPath: (app, below) => `/apps/${app.client_id}${below}`,
    copied: (page, name) => new RegExp(`id="${name}" value="([^"]*)"`).exec(page.text)?.[1] ?? "",
    submit: (page, action, typed = {}, of = current.agent) =>
      of.submit(
        page,
        typed,
        page.forms.findIndex((form) => form.action.endsWith(action)),
      ),
    owned: (by, options = {}) => flow.grantor.client({ ...options, owner: by.id, createdBy: by.id }),
    signedIn,
    mailTo: (email, words) =>
      waitFor(`a mail to ${email}: ${words}`, () => {
        const outbox = join(flow.grantor.server.env.DATA_DIR as string, "outbox");
        const mails = readdirSync(outbox).filter((file) => file.endsWith(".eml"));
        const texts = mails.sort().map((file) => readFileSync(join(outbox, file), "utf8"));
        return texts.findLast((each) => each.includes(`To: ${email}`) && each.includes(words));
      }),
  };
}
