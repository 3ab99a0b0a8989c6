/**
 * What is said of tokens: the meanings of claims, and findings in words; the same on the command line and on pages. Nothing here speaks a
 * language: what is said are the texts of locales/<language>/tokens.json, and whoever shows them says them.
 *
 * @typedef {import("../../src/i18n/messages.ts").Text} Text
 * @typedef {import("./token-inspection.js").TokenInspection} TokenInspection
 * @typedef {import("./token-inspection.js").ExplainedValue} ExplainedValue
 */

/** NumericDate (RFC 7519 §2): seconds since the epoch. */
export const TIME_CLAIMS = new Set(["exp", "iat", "nbf", "auth_time", "updated_at"]);

/** What JavaScript can hold as a date. @returns {value is number} @param {unknown} value */
export const isTime = (value) => typeof value === "number" && Math.abs(value) <= 8.64e12;

/** @type {(key: string, values?: import("../../src/i18n/messages.ts").Values) => Text} */
export const text = (key, values) => (values === undefined ? { key } : { key, values });

/** RFC 7515 §4.1, RFC 7516 §4.1, RFC 7519 §5.3: `tokens:header.<name>`. */
const HEADER = new Set([
  "alg",
  "enc",
  "typ",
  "cty",
  "kid",
  "jwk",
  "jku",
  "x5c",
  "x5t",
  "crit",
  "zip",
  "epk",
  "apu",
  "apv",
  "iss",
  "sub",
  "aud",
]);

/** `tokens:claims.<name>`. @see https://www.iana.org/assignments/jwt/jwt.xhtml */
const CLAIMS = new Set([
  // RFC 7519 §4.1
  ...["iss", "sub", "aud", "exp", "nbf", "iat", "jti"],
  // RFC 9068 §2.2, RFC 7800, RFC 8693 §4, RFC 9396
  ...["client_id", "scope", "roles", "groups", "entitlements", "cnf", "act", "may_act", "authorization_details"],
  // Token Status List
  ...["status", "status_list", "ttl"],
  // OpenID Connect Core §2, Back-Channel Logout §2.4
  ...["auth_time", "acr", "amr", "azp", "nonce", "at_hash", "c_hash", "s_hash", "sid", "events"],
  // RFC 9449 §4.2, RFC 9701 §5
  ...["htm", "htu", "ath", "token_introspection"],
  // OpenID Connect Core §5.1
  ...["name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website"],
  ...["email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number", "phone_number_verified"],
  ...["address", "updated_at"],
]);

/**
 * @param {string} name
 * @param {Readonly<Record<string, unknown>>} claims
 * @param {string} issuer
 * @returns {Text | undefined} undefined for a claim that no specification names
 */
export function claimMeaning(name, claims, issuer) {
  if (name === "sub" && claims.sub === claims.client_id) return text("tokens:claims.sub_application");
  if (name === "sub" && "status_list" in claims) return text("tokens:claims.sub_list");
  if (name === "iss" && claims.iss === issuer) return text("tokens:claims.iss_here");
  if (name === "aud" && claims.aud === issuer) return text("tokens:claims.aud_here");
  if (name === "aud" && claims.aud === claims.client_id) return text("tokens:claims.aud_application");
  return CLAIMS.has(name) ? text(`tokens:claims.${name}`) : undefined;
}

/** @param {string} name @returns {Text | undefined} undefined for a parameter that no specification names */
export function headerMeaning(name) {
  const known = name === "x5t#S256" ? "x5t" : name;
  return HEADER.has(known) ? text(`tokens:header.${known}`) : undefined;
}

const KEY_STATES = new Set(["next", "current", "retired", "expired", "revoked"]);

/** @typedef {"good" | "bad" | "unsure"} Tone */

/**
 * What to tell people of a token: the same on the command line and on pages.
 * @param {TokenInspection} inspection
 * @param {number} now milliseconds since the epoch
 * @param {string} language of the reader, in which times are told
 */
export function describeInspection(inspection, now, language) {
  const { kind, key, signature, expired, notYetValid, ours, claims, explained, status, reference } = inspection;
  /** @param {Date} at */
  const from = (at) => relativeTime(at, now, language);
  /** @param {string} name */
  const timeOf = (name) => explained.find((claim) => claim.name === name)?.time;
  const [exp, nbf] = [timeOf("exp"), timeOf("nbf")];
  /** @type {(is: boolean, yes: string, no: string) => Text} */
  const either = (is, yes, no) => text(is ? yes : no);
  const inTime = () => {
    if (expired) return exp ? text("tokens:in_time.expired_since", { when: from(exp) }) : text("tokens:in_time.expired");
    if (notYetValid) return nbf ? text("tokens:in_time.begins", { when: from(nbf) }) : text("tokens:in_time.later");
    return exp ? text("tokens:in_time.expires", { when: from(exp) }) : text("tokens:in_time.forever");
  };
  const signedBy = () => {
    if (key !== undefined) {
      const state = text(`tokens:key_states.${KEY_STATES.has(key.state) ? key.state : "published"}`);
      return text("tokens:signed_by.key", { kid: key.kid, alg: key.alg, name: key.state, state });
    }
    return signature === "valid" ? text("tokens:signed_by.secret") : undefined;
  };
  /** @type {(readonly [label: Text, words: Text | undefined])[]} */
  const facts = [
    [text("tokens:facts.kind"), kind],
    [text("tokens:facts.signature"), text(`tokens:signatures.${signature}`)],
    [text("tokens:facts.signed_by"), signedBy()],
    ...(claims === undefined
      ? []
      : /** @type {const} */ ([
          [text("tokens:facts.issued_here"), either(ours, "tokens:yes", "tokens:no")],
          [text("tokens:facts.in_time"), inTime()],
          [text("tokens:facts.verifies"), either(inspection.verifies, "tokens:yes", "tokens:loud_no")],
        ])),
    [text("tokens:facts.status"), statusWords()],
  ];
  return {
    verdict: verdictOf(inspection),
    facts: facts.flatMap(([label, words]) => (words === undefined ? [] : [/** @type {const} */ ([label, words])])),
    header: inspection.explainedHeader.map(shown),
    claims: explained.map(shown),
  };

  /** @returns {Text} */
  function statusWords() {
    const { state, since, asOf, reason } = status;
    if (state === "none") return text(exp ? "tokens:status.none_until" : "tokens:status.none");
    if (state === "unknown" || reference === undefined)
      return text("tokens:status.unknown", { reason: reason ?? text("tokens:reasons.nobody_says") });
    const place = text("tokens:status.place", { idx: String(reference.idx), uri: reference.uri });
    if (state === "revoked" && since) return text("tokens:status.revoked_since", { place, when: from(since), moment: dateAndTime(since) });
    if (state === "valid" && asOf) return text("tokens:status.valid_as_of", { place, moment: dateAndTime(asOf) });
    if (asOf) return text("tokens:status.revoked_as_of", { place, moment: dateAndTime(asOf) });
    return text(state === "valid" ? "tokens:status.valid" : "tokens:status.revoked", { place });
  }

  /** @param {ExplainedValue} explainedValue */
  function shown({ name, value, meaning, time }) {
    const whole = typeof value === "string" ? value : JSON.stringify(value);
    return {
      name,
      value:
        whole.length > LONGEST_SHOWN ? text("tokens:cut", { start: whole.slice(0, LONGEST_SHOWN), length: String(whole.length) }) : whole,
      when: time && text("tokens:when", { moment: dateAndTime(time), distance: from(time) }),
      meaning,
    };
  }
}

/** Characters of one value. */
const LONGEST_SHOWN = 1000;

/** Signatures that speak against a token, whoever issued it. */
const BAD_SIGNATURES = new Set(["invalid", "revoked_key", "expired_key", "wrong_algorithm", "unsigned"]);

/**
 * @param {TokenInspection} inspection
 * @returns {{ words: Text, tone: Tone }}
 */
function verdictOf({ claims, ours, signature, expired, notYetValid, status }) {
  if (claims === undefined) return { tone: "unsure", words: text("tokens:verdicts.encrypted") };
  const faults = [
    BAD_SIGNATURES.has(signature) && signature,
    expired && "expired",
    notYetValid && "early",
    status.state === "revoked" && "revoked",
    ours && signature === "unknown_key" && signature,
  ].flatMap((fault) => (fault === false ? [] : [text(`tokens:faults.${fault}`)]));
  const [first, ...others] = faults;
  if (first !== undefined) {
    const together = others.reduce((one, other) => text("tokens:faults.both", { one, other }), first);
    return { tone: "bad", words: text("tokens:verdicts.bad", { faults: together }) };
  }
  if (!ours && claims.iss === undefined) return { tone: "unsure", words: text("tokens:verdicts.anonymous") };
  if (!ours) return { tone: "unsure", words: text("tokens:verdicts.foreign") };
  if (signature !== "valid") return { tone: "unsure", words: text("tokens:verdicts.unchecked") };
  if (status.state === "unknown") return { tone: "unsure", words: text("tokens:verdicts.unknown_status") };
  return { tone: "good", words: text(status.state === "none" ? "tokens:verdicts.good_without_status" : "tokens:verdicts.good") };
}

/** UTC, to the second. @param {Date} at */
const dateAndTime = (at) =>
  at
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");

/** Seconds, largest first. @type {readonly (readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number])[]} */
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** "in 4 minutes", "3 hours ago". @param {Date} at @param {number} now milliseconds since the epoch @param {string} language */
function relativeTime(at, now, language) {
  const seconds = Math.trunc((at.getTime() - now) / 1000);
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  if (unit === undefined) return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(0, "second");
  return new Intl.RelativeTimeFormat(language).format(Math.trunc(seconds / unit[1]), unit[0]);
}

/**
 * What an object itself has under a name that a stranger chose.
 * @template T
 * @param {Readonly<Record<string, T>>} values
 * @param {string} name
 * @returns {T | undefined}
 */
export function own(values, name) {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}
