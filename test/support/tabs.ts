/** Tabs of one browser: each goes through a sign-in a request at a time, and answers may reach the browser in any order. */
import { type Agent, formsOf } from "./agent.ts";
import { authorizationUrl, type Person, pkce, redeem, type SeededClient, type Tokens } from "./grantor.ts";

export class Tab {
  readonly #browser: Agent;
  readonly #client: SeededClient;
  readonly #person: Person;
  readonly #proof = pkce();
  readonly #origin: string;
  #next: { url: string; init?: RequestInit } | undefined;
  #received: Response | undefined;
  /** Where it ended: the application's address. */
  end: string | undefined;
  /** What was typed beside e-mail and password. */
  readonly #typed: Record<string, string>;

  constructor(
    browser: Agent,
    {
      url,
      client,
      person,
      parameters = {},
      typed = {},
    }: { url: string; client: SeededClient; person: Person; parameters?: Record<string, string>; typed?: Record<string, string> },
  ) {
    this.#browser = browser;
    this.#client = client;
    this.#person = person;
    this.#typed = typed;
    this.#origin = new URL(url).origin;
    this.#next = { url: authorizationUrl(url, client, this.#proof, parameters) };
  }

  get done(): boolean {
    return this.#next === undefined;
  }

  /** Sends the next request. The result takes its answer in. */
  async send(): Promise<() => Promise<void>> {
    const request = this.#next;
    if (request === undefined) return async () => {};
    const response = await this.#browser.send(request.url, request.init);
    return async () => {
      this.#browser.receive(response, request.url);
      this.#received = response;
      this.#next = await this.#after(response, request.url);
    };
  }

  async #after(response: Response, at: string): Promise<{ url: string; init?: RequestInit } | undefined> {
    if (response.status >= 300 && response.status < 400) {
      const url = new URL(response.headers.get("location") ?? "", at).href;
      if (new URL(url).origin === this.#origin) return { url };
      this.end = url;
      return undefined;
    }
    const text = await response.text();
    const form = formsOf(text, at).at(text.includes('name="decision"') ? -1 : 0);
    if (response.status !== 200 || form === undefined) throw new Error(`${response.status} at ${at}\n${text}`);
    const typed: Record<string, string> = text.includes('name="password"')
      ? { email: this.#person.email, password: this.#person.password, ...this.#typed }
      : text.includes('name="decision"')
        ? { decision: "allow" }
        : {};
    return { url: form.action, init: { method: "POST", body: new URLSearchParams({ ...form.fields, ...typed }) } };
  }

  async tokens(): Promise<Tokens> {
    const code = new URL(this.end ?? "about:blank").searchParams.get("code");
    if (code === null) throw new Error(`no code at ${this.end} (${this.#received?.status})`);
    const response = await redeem({ url: this.#origin }, this.#client, code, this.#proof);
    if (response.status !== 200) throw new Error(`token endpoint: ${response.status} ${await response.text()}`);
    return (await response.json()) as Tokens;
  }
}

/** In which order requests are sent and answers reach the browser. */
export const ORDERS: Record<string, (tabs: readonly Tab[]) => Promise<void>> = {
  async "one after another"(tabs) {
    for (const tab of tabs) while (!tab.done) await (await tab.send())();
  },
  async "in turn, a request at a time"(tabs) {
    while (tabs.some((tab) => !tab.done)) for (const tab of tabs) await (await tab.send())();
  },
  async "at once, answers in their order"(tabs) {
    while (tabs.some((tab) => !tab.done)) for (const receive of await Promise.all(tabs.map((tab) => tab.send()))) await receive();
  },
  async "at once, answers the other way round"(tabs) {
    while (tabs.some((tab) => !tab.done))
      for (const receive of (await Promise.all(tabs.map((tab) => tab.send()))).reverse()) await receive();
  },
  async "at once, the first one's answers later than all others'"(tabs) {
    const [first, ...others] = tabs as [Tab, ...Tab[]];
    while (!first.done) {
      const [late, ...answers] = await Promise.all(tabs.map((tab) => tab.send()));
      for (const receive of answers) await receive();
      for (const tab of others) if (!tab.done) await (await tab.send())();
      await late?.();
    }
    for (const tab of others) while (!tab.done) await (await tab.send())();
  },
  async "each as fast as it can"(tabs) {
    await Promise.all(
      tabs.map(async (tab) => {
        while (!tab.done) await (await tab.send())();
      }),
    );
  },
};
