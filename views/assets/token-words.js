/**
 * What is said of tokens: the meanings of claims, and findings in words; the same on the command line and on the page /apps/inspector.
 *
 * @typedef {import("./token-inspection.js").TokenInspection} TokenInspection
 * @typedef {import("./token-inspection.js").ExplainedValue} ExplainedValue
 * @typedef {import("./token-inspection.js").SignatureFinding} SignatureFinding
 */

/** NumericDate (RFC 7519 §2): seconds since the epoch. */
export const TIME_CLAIMS = new Set(["exp", "iat", "nbf", "auth_time", "updated_at"]);

/** What JavaScript can hold as a date. @returns {value is number} @param {unknown} value */
export const isTime = (value) => typeof value === "number" && Math.abs(value) <= 8.64e12;

/** RFC 7515 §4.1, RFC 7516 §4.1, RFC 7519 §5.3. @type {Readonly<Record<string, string>>} */
const HEADER_MEANINGS = {
  alg: "algorithm: how it is signed, or how its key is encrypted",
  enc: "how the content is encrypted",
  typ: "type: what kind of token it is",
  cty: "what kind of token is inside",
  kid: "the name of the key",
  jwk: "the sender's public key",
  jku: "where the sender says that its keys are; never to be followed",
  x5c: "the sender's certificates",
  x5t: "the sender's certificate, as a hash",
  "x5t#S256": "the sender's certificate, as a hash",
  crit: "what a reader has to understand, or else refuse the token",
  zip: "how the content is compressed",
  epk: "the sender's one-time public key",
  apu: "who encrypted it",
  apv: "for whom it is encrypted",
  iss: "issuer, as in the claims inside",
  sub: "subject, as in the claims inside",
  aud: "audience, as in the claims inside",
};

/** @see https://www.iana.org/assignments/jwt/jwt.xhtml @type {Readonly<Record<string, string>>} */
const MEANINGS = {
  // RFC 7519 §4.1
  iss: "issuer: who made the token",
  sub: "subject: whom the token is about",
  aud: "audience: whom the token is for; everybody else has to refuse it",
  exp: "expires",
  nbf: "not valid before",
  iat: "issued",
  jti: "the token's own name",
  // RFC 9068 §2.2, RFC 8693 §4
  client_id: "the application that it was issued to",
  scope: "what the application may do",
  roles: "roles of the person",
  groups: "groups of the person",
  entitlements: "entitlements of the person",
  cnf: "the key that the sender has to prove (RFC 7800): without it the token is useless",
  act: "who acts in the subject's name (RFC 8693)",
  may_act: "who may act in the subject's name (RFC 8693)",
  authorization_details: "what in detail is allowed (RFC 9396)",
  // Token Status List
  status: "where its revocation is published (Token Status List)",
  status_list: "one bit or more for each token: whether it was revoked",
  ttl: "seconds for which the list may be kept",
  // OpenID Connect Core §2, Back-Channel Logout §2.4
  auth_time: "when the person signed in",
  acr: "how strongly the person signed in",
  amr: "by what means the person signed in (RFC 8176)",
  azp: "the application that it was issued to",
  nonce: "ties it to one sign-in of the application",
  at_hash: "ties it to the access token beside it",
  c_hash: "ties it to the authorization code beside it",
  s_hash: "ties it to the state of the request",
  sid: "the session of the person's browser",
  events: "what happened",
  // RFC 9449 §4.2, RFC 9701 §5
  htm: "the method of the request that it was made for",
  htu: "the URL of the request that it was made for",
  ath: "ties it to the access token beside it",
  token_introspection: "what introspection says of a token",
  // OpenID Connect Core §5.1
  name: "full name",
  given_name: "given name",
  family_name: "family name",
  middle_name: "middle name",
  nickname: "nickname",
  preferred_username: "the name that the person wants to be called by; not unique",
  profile: "profile page",
  picture: "picture",
  website: "website",
  email: "e-mail address",
  email_verified: "whether the address is known to be the person's",
  gender: "gender",
  birthdate: "date of birth",
  zoneinfo: "time zone",
  locale: "language and country",
  phone_number: "phone number",
  phone_number_verified: "whether the number is known to be the person's",
  address: "postal address",
  updated_at: "when this about the person last changed",
};

/**
 * @param {string} name
 * @param {Readonly<Record<string, unknown>>} claims
 * @param {string} issuer
 * @returns {string | undefined} undefined for a claim that no specification names
 */
export function claimMeaning(name, claims, issuer) {
  if (name === "sub" && claims.sub === claims.client_id) return "subject: the application itself; there is no person behind this token";
  if (name === "sub" && "status_list" in claims) return "subject: the address of the list";
  if (name === "iss" && claims.iss === issuer) return "issuer: this server";
  if (name === "aud" && claims.aud === issuer) return "audience: this server itself, for userinfo";
  if (name === "aud" && claims.aud === claims.client_id) return "audience: the application";
  return own(MEANINGS, name);
}

/** @param {string} name @returns {string | undefined} undefined for a parameter that no specification names */
export const headerMeaning = (name) => own(HEADER_MEANINGS, name);

/** @type {Readonly<Record<SignatureFinding, string>>} */
const SIGNATURES = {
  valid: "valid",
  invalid: "NOT valid: this is not what the key signed",
  unknown_key: "cannot be checked: the key is none of this server's",
  revoked_key: "NOT valid: the key was revoked, and with it all that it ever signed",
  expired_key: "NOT valid any more: the key is no longer published, since all that it signed has expired",
  wrong_algorithm: "NOT valid: this server's key of that name is for another algorithm",
  unsigned: "NOT there: anybody can have written this",
  shared_secret: "cannot be checked here: it was made with a secret that the resource server shares with its issuer",
  not_supported: "cannot be checked here: this browser does not know the algorithm",
  no_keys: "cannot be checked: this server's keys cannot be had at the moment",
  encrypted: "inside, where only the recipient can see it",
};

/** @type {Readonly<Record<string, string>>} */
const KEY_STATES = {
  next: "published, does not sign yet",
  current: "signs now",
  retired: "signs no longer, still published for what it signed",
  expired: "unpublished: what it signed has expired",
  revoked: "unpublished: nothing that it signed counts",
};

/** @typedef {"good" | "bad" | "unsure"} Tone */

/**
 * What to tell people of a token: the same words on the command line and on the page.
 * @param {TokenInspection} inspection
 * @param {number} now milliseconds since the epoch
 */
export function describeInspection(inspection, now) {
  const { kind, key, signature, expired, notYetValid, ours, claims, explained, status, reference } = inspection;
  /** @param {string} name */
  const timeOf = (name) => explained.find((claim) => claim.name === name)?.time;
  const [exp, nbf] = [timeOf("exp"), timeOf("nbf")];
  const inTime = () => {
    if (expired) return `no: it expired${exp ? ` ${relativeTime(exp, now)}` : ""}`;
    if (notYetValid) return `not yet: it begins${nbf ? ` ${relativeTime(nbf, now)}` : " later"}`;
    return exp ? `yes: it expires ${relativeTime(exp, now)}` : "yes: it never expires";
  };
  const place = reference && `entry ${reference.idx} of ${reference.uri}`;
  const asOf = status.asOf ? `; the list is of ${dateAndTime(status.asOf)}` : "";
  const since = status.since ? ` ${relativeTime(status.since, now)} (${dateAndTime(status.since)})` : "";
  const statusWords = {
    valid: `valid: ${place}${asOf}`,
    revoked: `REVOKED${since}: ${place}${asOf}`,
    unknown: `not known: ${status.reason ?? "nobody says"}`,
    none: `not published${exp ? ": it counts until it expires" : ""}`,
  };
  /** @type {(readonly [label: string, text: string | undefined])[]} */
  const facts = [
    ["this is", `${/^[aeio]/i.test(kind) ? "an" : "a"} ${kind}`],
    ["signature", SIGNATURES[signature]],
    [
      "signed by",
      key === undefined
        ? signature === "valid"
          ? "the secret of its resource (HS256)"
          : undefined
        : `${key.kid} (${key.alg}, ${key.state}: ${own(KEY_STATES, key.state) ?? "published"})`,
    ],
    ...(claims === undefined
      ? []
      : /** @type {const} */ ([
          ["issued here", ours ? "yes" : "no"],
          ["in its time", inTime()],
          ["verifies", inspection.verifies ? "yes" : "NO"],
        ])),
    ["status", statusWords[status.state]],
  ];
  return {
    verdict: verdictOf(inspection),
    facts: facts.filter(([, text]) => text !== undefined),
    header: inspection.explainedHeader.map(shown),
    claims: explained.map(shown),
  };

  /** @param {ExplainedValue} explainedValue */
  function shown({ name, value, meaning, time }) {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const short = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}… (${text.length} characters)` : text;
    return { name, value: short, when: time && `${dateAndTime(time)}, ${relativeTime(time, now)}`, meaning };
  }
}

/** Characters of one value. */
const LONGEST_SHOWN = 1000;

/**
 * @param {TokenInspection} inspection
 * @returns {{ text: string, tone: Tone }}
 */
function verdictOf({ claims, ours, signature, expired, notYetValid, status }) {
  if (claims === undefined)
    return {
      tone: "unsure",
      text: "Only the resource server that it is encrypted to can read it. Whether it counts, introspection tells those who may ask.",
    };
  const faults = [
    {
      invalid: "its signature is not valid",
      revoked_key: "its key was revoked",
      expired_key: "its key is no longer published",
      wrong_algorithm: "its algorithm is not the key's",
    }[/** @type {string} */ (signature)],
    signature === "unsigned" && "it is not signed",
    expired && "it has expired",
    notYetValid && "its time has not come",
    status.state === "revoked" && "it was revoked",
    ours && signature === "unknown_key" && "its key is none of this server's",
  ].filter((fault) => typeof fault === "string");
  if (faults.length > 0) return { tone: "bad", text: `It does not count: ${faults.join(", and ")}.` };
  if (!ours && claims.iss === undefined)
    return { tone: "unsure", text: "It does not say who issued it: whether it counts cannot be told here." };
  if (!ours) return { tone: "unsure", text: "Another server issued it: neither its signature nor its status can be checked here." };
  if (signature !== "valid") return { tone: "unsure", text: "Nothing speaks against it, but its signature cannot be checked here." };
  if (status.state === "unknown") return { tone: "unsure", text: "It verifies. Whether it was revoked is not known." };
  if (status.state === "none") return { tone: "good", text: "It counts: this server signed it, and it is in its time." };
  return { tone: "good", text: "It counts: this server signed it, it is in its time, and it was not revoked." };
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

/** "in 4 minutes", "3 hours ago". @param {Date} at @param {number} now milliseconds since the epoch */
function relativeTime(at, now) {
  const seconds = Math.trunc((at.getTime() - now) / 1000);
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  return unit === undefined ? "now" : new Intl.RelativeTimeFormat("en").format(Math.trunc(seconds / unit[1]), unit[0]);
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
