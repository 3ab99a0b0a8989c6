/**
 * Remembers every credential that passes between a test and its servers, so that their logs can be searched for them afterwards: what was
 * typed and sent, cookies, codes, tokens, secrets. It watches the global `fetch`, which the clients under test use too.
 */

/** Shorter ones occur in logs by chance: ports, counts, words. */
const SHORTEST = 8;
/** Different characters: what has fewer is a test's filler. */
const FEWEST = 5;

/** Parameters of requests and members of answers that are credentials. */
const CREDENTIALS = new Set([
  ...[
    "password",
    "current",
    "code",
    "code_verifier",
    "refresh_token",
    "access_token",
    "id_token",
    "id_token_hint",
    "token",
    "csrf",
    "xsrf",
  ],
  ...["subject_token", "actor_token"],
  ...[
    "client_secret",
    "client_assertion",
    "device_code",
    "user_code",
    "request_uri",
    "registration_access_token",
    "logout_token",
    "login_link",
  ],
]);

const seen = new Set<string>();
let watching = false;

/**
 * Begins to remember; once is enough for a whole test file.
 * @param sent whether what a test sends counts too: not when it sends words at random
 */
export function watchSecrets({ sent = true } = {}): void {
  if (watching) return;
  watching = true;
  const { fetch: original } = globalThis;
  globalThis.fetch = async (input, init) => {
    if (sent) {
      noteRequest(input instanceof Request ? input.headers : new Headers(init?.headers), init?.body);
      noteUrl(input instanceof Request ? input.url : String(input));
    }
    const response = await original(input, init);
    noteResponse(response);
    const type = response.headers.get("Content-Type") ?? "";
    if (type.includes("json")) noteJson(await response.clone().text());
    return response;
  };
}

/** @returns the credentials seen so far that a text holds, shortened */
export const secretsIn = (text: string): string[] =>
  [...seen].filter((secret) => text.includes(secret)).map((secret) => `${secret.slice(0, 12)}…`);

/** For what does not travel by `fetch`. */
export function noteSecret(value: unknown): void {
  if (typeof value !== "string" || value.length < SHORTEST || new Set(value).size < FEWEST) return;
  seen.add(value);
  // The part of a JWT that makes it one; its header and claims are shared by many.
  const signature = /^[\w-]+\.[\w-]+\.([\w-]{16,})$/.exec(value)?.[1];
  if (signature !== undefined) seen.add(signature);
}

function noteRequest(headers: Headers, body: unknown): void {
  const [scheme, credentials] = (headers.get("Authorization") ?? "").split(" ");
  noteSecret(credentials);
  noteSecret(headers.get("DPoP"));
  if (scheme === "Basic")
    noteSecret(
      decodeURIComponent(
        Buffer.from(credentials ?? "", "base64")
          .toString()
          .split(":")[1] ?? "",
      ),
    );
  for (const cookie of (headers.get("Cookie") ?? "").split("; ")) noteCookie(cookie);
  if (body instanceof URLSearchParams) noteParameters(body);
}

/** What the engine keeps in these stands in addresses too; it is good for nothing without the signature in the cookie beside it. */
const ADDRESSES = /^(?:__Secure-)?grantor_(?:interaction|resume)$/;

function noteCookie(pair: string): void {
  const [name = "", value] = pair.split("=");
  if (!ADDRESSES.test(name)) noteSecret(value);
}

function noteResponse(response: Response): void {
  for (const cookie of response.headers.getSetCookie()) noteCookie(cookie.split(";")[0] ?? "");
  noteUrl(response.headers.get("Location") ?? "");
}

function noteUrl(url: string): void {
  const parsed = URL.parse(url, "http://relative.invalid");
  if (parsed !== null) noteParameters(parsed.searchParams);
}

function noteParameters(parameters: URLSearchParams): void {
  for (const [name, value] of parameters) if (CREDENTIALS.has(name)) noteSecret(value);
}

function noteJson(text: string): void {
  try {
    JSON.parse(text, (name, value) => {
      if (CREDENTIALS.has(name)) noteSecret(value);
      return value;
    });
  } catch {
    // not what its type says
  }
}
