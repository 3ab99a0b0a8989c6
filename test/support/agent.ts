/** A browser without JavaScript, as far as flows need one: cookies with their paths, redirects one at a time, forms. */

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Forms in the order of the page. */
  readonly forms: readonly Form[];
}

export interface Form {
  readonly action: string;
  readonly fields: Record<string, string>;
}

interface Cookie {
  name: string;
  value: string;
  path: string;
  expires: number;
}

export class Agent {
  readonly #cookies = new Map<string, Cookie>();
  /** Every redirect of the last navigation, in order. */
  redirects: string[] = [];

  /** What it would send to a URL, for a dump or another agent. */
  cookiesFor(url: string): Record<string, string> {
    const { pathname } = new URL(url);
    const fitting = [...this.#cookies.values()].filter((cookie) => covers(cookie.path, pathname) && cookie.expires > Date.now());
    return Object.fromEntries(fitting.map(({ name, value }) => [name, value]));
  }

  /** Whether a cookie stays when the browser closes. */
  isKept(name: string): boolean {
    return [...this.#cookies.values()].some((cookie) => cookie.name === name && cookie.expires !== Number.POSITIVE_INFINITY);
  }

  setCookie(name: string, value: string, path = "/"): void {
    this.#cookies.set(`${path} ${name}`, { name, value, path, expires: Number.POSITIVE_INFINITY });
  }

  /** One request, no redirects followed. */
  async request(url: string, init: RequestInit = {}): Promise<Response> {
    const response = await this.send(url, init);
    this.receive(response, url);
    return response;
  }

  /** Sends a request with the cookies of this moment; the answer's reach the browser with `receive`. */
  async send(url: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    const cookies = Object.entries(this.cookiesFor(url)).map(([name, value]) => `${name}=${value}`);
    if (cookies.length > 0) headers.set("Cookie", cookies.join("; "));
    if (!headers.has("Accept")) headers.set("Accept", "text/html");
    return fetch(url, { ...init, headers, redirect: "manual" });
  }

  receive(response: Response, url: string): void {
    for (const line of response.headers.getSetCookie()) this.#remember(line, url);
  }

  /** Follows redirects while they stay at the origin of the first URL; where they leave it, the page has the URL left for and status 0. */
  async open(url: string, init: RequestInit = {}): Promise<Page> {
    const { origin } = new URL(url);
    this.redirects = [];
    let response = await this.request(url, init);
    let at = url;
    for (let hops = 0; response.status >= 300 && response.status < 400; hops++) {
      if (hops > 15) throw new Error(`too many redirects: ${this.redirects.join(" → ")}`);
      await response.body?.cancel();
      at = new URL(response.headers.get("Location") ?? "", at).href;
      this.redirects.push(at);
      if (new URL(at).origin !== origin) return { url: at, status: 0, headers: response.headers, text: "", forms: [] };
      response = await this.request(at);
    }
    const text = await response.text();
    return { url: at, status: response.status, headers: response.headers, text, forms: formsOf(text, at) };
  }

  /** Submits a form of a page: its hidden fields, and what is typed. */
  submit(page: Page, typed: Record<string, string>, form = 0): Promise<Page> {
    const chosen = page.forms[form];
    if (chosen === undefined) throw new Error(`no form ${form} on ${page.url}:\n${page.text}`);
    const body = new URLSearchParams({ ...chosen.fields, ...typed });
    return this.open(chosen.action, { method: "POST", body });
  }

  /** What a script on the page would do at once: submit its only form, as long as that stays here. */
  async proceed(page: Page): Promise<Page> {
    const scripted = page.text.includes(" data-send>") && page.forms[0]?.action.startsWith(new URL(page.url).origin);
    return scripted ? this.proceed(await this.submit(page, {})) : page;
  }

  #remember(line: string, url: string): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim());
    const equals = pair.indexOf("=");
    const attribute = (name: string) => attributes.find((entry) => entry.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
    const path = attribute("path") ?? new URL(url).pathname;
    const expires = attribute("expires");
    const name = pair.slice(0, equals);
    const cookie = {
      name,
      value: pair.slice(equals + 1),
      path,
      expires: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
    };
    if (cookie.expires <= Date.now()) this.#cookies.delete(`${path} ${name}`);
    else this.#cookies.set(`${path} ${name}`, cookie);
  }
}

const covers = (cookiePath: string, path: string): boolean =>
  path === cookiePath || path.startsWith(cookiePath.endsWith("/") ? cookiePath : `${cookiePath}/`);

export function formsOf(html: string, url: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map(([, attributes = "", content = ""]) => {
    const fields: Record<string, string> = {};
    for (const [, input = ""] of content.matchAll(/<input\b([^>]*)>/g)) {
      const name = attributeOf(input, "name");
      const type = attributeOf(input, "type");
      const isSent = type !== "submit" && (type !== "checkbox" || /\bchecked\b/.test(input));
      if (name !== undefined && isSent) fields[name] = attributeOf(input, "value") ?? "";
    }
    return { action: new URL(attributeOf(attributes, "action") ?? "", url).href, fields };
  });
}

function attributeOf(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return value
    ?.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replace(/&quot;/g, '"')
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&");
}
