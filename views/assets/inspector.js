/**
 * The page /apps/inspector: shows what is in a token that somebody pastes. The token stays in this page: it goes into no request, no URL and
 * no storage. What is fetched are this server's public keys and its status lists, which everybody may read. The texts come with the page.
 */
import { inspectToken, readStatus, UnreadableTokenError } from "./token-inspection.js";
import { describeInspection, text } from "./token-words.js";

/**
 * @typedef {import("./token-inspection.js").InspectedKey} InspectedKey
 * @typedef {import("./token-inspection.js").StatusReference} StatusReference
 * @typedef {import("./token-inspection.js").StatusFinding} StatusFinding
 * @typedef {import("../../src/i18n/messages.ts").Words} Words
 * @typedef {ReturnType<typeof describeInspection>} Description
 */

const form = /** @type {HTMLFormElement} */ (document.querySelector("#inspector"));
const field = /** @type {HTMLTextAreaElement} */ (document.querySelector("#token"));
const verdict = /** @type {HTMLElement} */ (document.querySelector("#verdict"));
const findings = /** @type {HTMLElement} */ (document.querySelector("#findings"));
const { issuer = "", jwks = "", keys: listed = "[]", texts: given = "{}" } = form.dataset;
/** With their states, revoked ones too. @type {readonly InspectedKey[]} */
const known = JSON.parse(listed);
/** By their keys without the namespace, nested. */
const texts = JSON.parse(given);
const { lang: language, dir: direction } = document.documentElement;

/** Counts what was typed: an answer to what is gone already is not shown. */
let turn = 0;

document.querySelector("#without-script")?.remove();
form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
field.addEventListener("input", () => inspect());
document.querySelector("#clear")?.addEventListener("click", () => {
  clear();
  field.focus();
});
// A page that is left may be kept for the way back: the token is not.
addEventListener("pagehide", clear);

function clear() {
  field.value = "";
  inspect();
}

async function inspect() {
  turn++;
  const [now, mine, token] = [Date.now(), turn, field.value];
  if (token.trim() === "") return show(undefined, undefined);
  try {
    const look = (/** @type {readonly InspectedKey[] | undefined} */ keys) =>
      inspectToken(token, { keys, issuer, now, statusOf: (reference) => fetchStatus(reference, keys ?? [], now) });
    let inspection = await look(await fetchKeys("default"));
    // Keys may have been added since the browser last asked.
    if (inspection.ours && inspection.signature === "unknown_key") inspection = await look(await fetchKeys("no-cache"));
    const description = describeInspection(inspection, now, language);
    if (mine === turn) show(description.verdict, description);
  } catch (error) {
    const unreadable = error instanceof UnreadableTokenError;
    // Whatever happens: what was found in the token before is not said of this one.
    if (mine === turn) show(unreadable ? { words: error.words, tone: "bad" } : undefined, undefined);
    if (!unreadable) throw error;
  }
}

/**
 * @param {RequestCache} cache
 * @returns {Promise<readonly InspectedKey[] | undefined>} undefined: they cannot be had
 */
async function fetchKeys(cache) {
  try {
    const answer = await fetch(jwks, { cache, credentials: "omit", redirect: "error" });
    if (!answer.ok) return undefined;
    /** @type {{ keys: (JsonWebKey & { kid: string, alg: string })[] }} */
    const published = await answer.json();
    const unpublished = known.filter(({ state }) => state === "revoked" || state === "expired");
    return [
      ...published.keys.map((jwk) => ({
        kid: jwk.kid,
        alg: jwk.alg,
        state: known.find(({ kid }) => kid === jwk.kid)?.state ?? "published",
        jwk,
      })),
      ...unpublished.filter(({ kid }) => !published.keys.some((jwk) => jwk.kid === kid)),
    ];
  } catch {
    return undefined;
  }
}

/**
 * @param {StatusReference} reference to a list of this server
 * @param {readonly InspectedKey[]} keys
 * @param {number} now milliseconds since the epoch
 * @returns {Promise<StatusFinding>}
 */
async function fetchStatus(reference, keys, now) {
  try {
    const answer = await fetch(reference.uri, { credentials: "omit", redirect: "error" });
    if (answer.status === 404) return { state: "unknown", reason: text("tokens:reasons.not_kept") };
    if (!answer.ok) return { state: "unknown", reason: text("tokens:reasons.cannot_read") };
    return await readStatus(await answer.text(), reference, { keys, now });
  } catch {
    return { state: "unknown", reason: text("tokens:reasons.cannot_fetch") };
  }
}

/** Classes of the stylesheet. */
const TONES = { good: "good", bad: "alert", unsure: "notice" };

/**
 * @param {Description["verdict"] | undefined} verdictWords
 * @param {Description | undefined} details
 */
function show(verdictWords, details) {
  field.setAttribute("aria-invalid", String(verdictWords !== undefined && details === undefined));
  verdict.replaceChildren(
    ...(verdictWords === undefined ? [] : [element("p", { className: TONES[verdictWords.tone] }, say(verdictWords.words))]),
  );
  findings.replaceChildren(
    ...(details === undefined
      ? []
      : [
          section(
            say(text("tokens:found")),
            details.facts.map(([label, words]) => [
              say(label),
              [typeof words === "string" ? isolated(words) : element("span", {}, say(words))],
            ]),
          ),
          section(say(text("tokens:header_title")), details.header.map(row)),
          ...(details.claims.length > 0 ? [section(say(text("tokens:claims_title")), details.claims.map(row))] : []),
        ]),
  );
}

/**
 * @param {Description["claims"][number]} claim
 * @returns {readonly [string, readonly HTMLElement[]]}
 */
function row({ name, value, when, meaning }) {
  return [
    name,
    [
      element("code", {}, isolated(say(value))),
      ...(when === undefined ? [] : [element("span", {}, say(when))]),
      ...(meaning === undefined ? [] : [element("span", { className: "quiet" }, say(meaning))]),
    ],
  ];
}

/**
 * As the server says its texts (src/i18n/messages.ts).
 * @param {Words} words
 * @returns {string}
 */
function say(words) {
  if (typeof words === "string") return words;
  const path = words.key.slice(words.key.indexOf(":") + 1).split(".");
  const said = String(path.reduce((at, name) => at?.[name], texts) ?? words.key);
  return said.replace(/\{\{(\w+)\}\}/g, (place, name) => {
    const value = words.values?.[name];
    if (value === undefined) return place;
    return typeof value === "object" ? say(value) : apart(String(value));
  });
}

/** In a sentence from right to left, what is not part of it keeps its own direction. @param {string} value */
const apart = (value) => (direction === "rtl" ? `\u2068${value}\u2069` : value);

/**
 * @param {string} heading
 * @param {readonly (readonly [name: string, values: readonly HTMLElement[]])[]} rows
 */
function section(heading, rows) {
  const list = element("dl", { className: "findings" });
  for (const [name, values] of rows) {
    const block = element("div", {}, element("dt", {}, isolated(name)));
    for (const value of values) block.append(element("dd", {}, value));
    list.append(block);
  }
  return element("section", {}, element("h2", {}, heading), list);
}

/** What a stranger wrote: its direction ends with it. @param {string} text */
const isolated = (text) => element("bdi", {}, text);

/**
 * @param {string} name
 * @param {{ className?: string }} properties
 * @param {...(Node | string)} children
 */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
