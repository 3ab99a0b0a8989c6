/**
 * Remembers every credential that passes between a test and its servers, so that whatever these write can be searched for them afterwards (logs,
 * audit log, exports, mails, what commands print): what was typed and sent, cookies, codes, tokens, secrets. It watches the global `fetch`, which
 * the clients under test use too, and looks by itself whether an error page repeats what was sent to it.
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

/** What of a request no answer that refuses it may repeat. */
const NEVER_REPEATED = new Set([
  ...["password", "current", "code", "code_verifier", "client_secret", "client_assertion", "refresh_token", "subject_token"],
]);

/** By what they were first met as. */
const seen = new Map<string, string>();
const repeated: string[] = [];
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
    if (sent && response.status >= 400 && init?.body instanceof URLSearchParams) {
      const answer = await response.clone().text();
      for (const [name, value] of init.body)
        if (NEVER_REPEATED.has(name) && isTelling(value) && answer.includes(value))
          repeated.push(`${response.status} at ${response.url}: ${name}`);
    }
    return response;
  };
}

/**
 * @param but what may stand there, by what it was met as
 * @returns the credentials seen so far that a text holds, shortened
 */
export const secretsIn = (text: string, but?: string): string[] =>
  [...seen].filter(([secret, kind]) => kind !== but && text.includes(secret)).map(([secret, kind]) => `${kind} ${secret.slice(0, 12)}…`);

/** @returns answers that refused a request and repeated a credential of it */
export const repeatedSecrets = (): readonly string[] => repeated;

const isTelling = (value: string): boolean => value.length >= SHORTEST && new Set(value).size >= FEWEST;

/** For what does not travel by `fetch`. */
export function noteSecret(value: unknown, kind = "secret"): void {
  if (typeof value !== "string" || !isTelling(value)) return;
  const note = (secret: string) => void (seen.has(secret) || seen.set(secret, kind));
  note(value);
  // The part of a JWT that makes it one; its header and claims are shared by many.
  const signature = /^[\w-]+\.[\w-]+\.([\w-]{16,})$/.exec(value)?.[1];
  if (signature !== undefined) note(signature);
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

/** What a browser sends. */
export function noteSent(url: string, form: string | null): void {
  noteUrl(url);
  noteParameters(new URLSearchParams(form ?? ""));
}

function noteUrl(url: string): void {
  const parsed = URL.parse(url, "http://relative.invalid");
  if (parsed !== null) noteParameters(parsed.searchParams);
}

function noteParameters(parameters: URLSearchParams): void {
  for (const [name, value] of parameters) if (CREDENTIALS.has(name)) noteSecret(value, name);
}

/** Credentials among the members of JSON, at any depth. */
export function noteJson(text: string): void {
  try {
    JSON.parse(text, (name, value) => {
      if (CREDENTIALS.has(name)) noteSecret(value, name);
      return value;
    });
  } catch {
    // not what its type says
  }
}
