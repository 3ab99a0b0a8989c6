/** The pages, as plain HTML. Everything that is put into a page is escaped, unless it is HTML of ours. */
import type { SignedIn } from "./sessions.ts";

class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Piece = Html | string | number | undefined | readonly Html[];

const html = (texts: TemplateStringsArray, ...pieces: Piece[]): Html => new Html(String.raw({ raw: texts }, ...pieces.map(write)));

function write(piece: Piece): string {
  if (piece === undefined) return "";
  if (piece instanceof Html) return piece.text;
  if (typeof piece === "object") return piece.map(({ text }) => text).join("");
  return String(piece).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const page = (title: string, content: Html): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="data:,">
</head>
<body>
<header><a href="/">Example application</a></header>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>`.text;

export function welcomePage(issuer: string, notice: string | undefined): string {
  return page(
    "Welcome",
    html`${saying(notice)}
<p>This application has no passwords of its own: it sends you to <strong>${issuer}</strong> to sign in.</p>
<p><a class="button" href="/sign-in">Sign in</a></p>`,
  );
}

export function messagePage(title: string, text: string): string {
  return page(
    title,
    html`<p>${text}</p>
<p><a class="button" href="/sign-in">Sign in</a> <a href="/">Start page</a></p>`,
  );
}

/** @param now milliseconds since the epoch */
export function signedInPage(
  { claims, userinfo, apiToken, refreshes, answer }: SignedIn,
  resource: string,
  notice: string | undefined,
  now: number,
): string {
  const name = String(userinfo.name ?? userinfo.email ?? claims.sub);
  return page(
    `Hello, ${name}`,
    html`${saying(notice)}
<section>
<h2>Call the API</h2>
<p>At <code>${resource}</code>, with an access token that is good there and nowhere else.</p>
<form method="post" action="/api">
<button name="call" value="read">Read my things</button>
<button name="call" value="write">Add a thing</button>
<button name="call" value="report">Read the report</button>
</form>
${
  answer &&
  html`<div class="answer" role="status">
<p><code>${answer.request}</code> → <strong>${answer.status}</strong></p>
${answer.challenge && html`<p><code>WWW-Authenticate: ${answer.challenge}</code></p>`}
<pre tabindex="0">${answer.body}</pre>
</div>`
}
</section>
<section>
<h2>Tokens</h2>
<p>${apiToken === undefined ? "There is no access token for the API yet: it is fetched when it is needed." : html`The access token for the API holds <code>${apiToken.scope}</code> and is good for ${Math.max(0, Math.round((apiToken.expiresAt - now) / 1000))} seconds more.`}
Refreshed ${refreshes} ${refreshes === 1 ? "time" : "times"}.</p>
<form method="post" action="/refresh"><button>Refresh</button></form>
</section>
<section>
<h2>ID token</h2>
${table(claims)}
</section>
<section>
<h2>Userinfo</h2>
${table(userinfo)}
</section>
<form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>`,
  );
}

const saying = (notice: string | undefined): Html | undefined =>
  notice === undefined ? undefined : html`<p class="notice" role="status">${notice}</p>`;

/** Claims as name and value. Names of times are known from JWT (RFC 7519 §4.1) and OpenID Connect Core §2. */
function table(claims: Readonly<Record<string, unknown>>): Html {
  const times = new Set(["iat", "exp", "auth_time", "updated_at"]);
  const rows = Object.entries(claims).map(([name, value]) => {
    const shown = typeof value === "string" ? value : JSON.stringify(value);
    const time = times.has(name) ? html` <small>${new Date(Number(value) * 1000).toISOString()}</small>` : undefined;
    return html`<dt>${name}</dt><dd>${shown}${time}</dd>`;
  });
  return html`<dl>${rows}</dl>`;
}
