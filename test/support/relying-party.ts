/** An application of somebody else, as browsers meet it: at an address of its own, with a link that leads to sign-in and a place to come back to. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What a browser brought back. */
export interface Arrival {
  readonly method: string;
  readonly path: string;
  readonly parameters: URLSearchParams;
}

export interface RelyingParty {
  /** On another site than the issuer's `localhost`. */
  readonly origin: string;
  readonly redirectUri: string;
  readonly postLogoutUri: string;
  /** Oldest first. */
  readonly arrivals: readonly Arrival[];
  /** A page of the application with a link, "Sign in", that leads to a URL; by `post`, with a button that posts its query instead. */
  entrance(url: string, method?: "get" | "post"): string;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startRelyingParty(): Promise<RelyingParty> {
  const arrivals: Arrival[] = [];
  const server = createServer(async (req, res) => {
    const url = new URL(req.url ?? "/", "http://relying-party.invalid");
    let body = "";
    for await (const chunk of req) body += chunk;
    res.setHeader("Content-Type", "text/html; charset=utf-8");
    if (url.pathname === "/") {
      res.end(document("The application", door(url.searchParams)));
      return;
    }
    arrivals.push({
      method: req.method ?? "",
      path: url.pathname,
      parameters: req.method === "POST" ? new URLSearchParams(body) : url.searchParams,
    });
    res.end(document("Back at the application", ""));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    redirectUri: `${origin}/callback`,
    postLogoutUri: `${origin}/signed-out`,
    arrivals,
    entrance: (to, method = "get") => `${origin}/?${new URLSearchParams({ to, method })}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function door(parameters: URLSearchParams): string {
  const to = new URL(parameters.get("to") ?? "");
  if (parameters.get("method") !== "post") return `<a href="${quote(to.href)}">Sign in</a>`;
  const fields = [...to.searchParams].map(([name, value]) => `<input type="hidden" name="${quote(name)}" value="${quote(value)}">`);
  return `<form method="post" action="${quote(to.origin + to.pathname)}">${fields.join("")}<button>Sign in</button></form>`;
}

const document = (heading: string, content: string): string =>
  `<!doctype html><html lang="en"><title>${heading}</title><link rel="icon" href="data:,"><h1>${heading}</h1>${content}`;

const quote = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
