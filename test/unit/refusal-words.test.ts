/** What the engine and we say of a refused request is known by its form, so that pages say it in the reader's language; also after the engine's next release. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LANGUAGES } from "../../src/i18n/languages.ts";
import { english, say } from "../../src/i18n/messages.ts";
import { refusalWords } from "../../src/interactions/refusal-words.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** Of the engine, what no setting of ours switches on: credentials, CIBA, metadata documents, rich requests, request objects, `claims`. */
const SWITCHED_OFF =
  /credential|ciba|client_id_metadata|check_rar|pre_authorized|web_message|process_request_object|actions\/authorization\/claims|helpers\/(?:configuration|defaults)|errors\.js/;
const OFF = /Web Message|authorization_details|Rich Authorization|OAuth-Client-Attestation|claims\./;

const sourcesIn = (directory: string, ending: string): string[] =>
  readdirSync(join(ROOT, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(ending) && !SWITCHED_OFF.test(file))
    .map((file) => readFileSync(join(ROOT, directory, file), "utf8"));

/** Sentences of requests that are merely invalid: of them the code says nothing. What is put into one is a stand-in. */
const said = [...sourcesIn("node_modules/oidc-provider/lib", ".js"), ...sourcesIn("src/oidc", ".ts")].flatMap((source) =>
  [...source.matchAll(/\b(?:InvalidRequest|SessionNotFound)\(\s*(?:"([^"]+)"|'((?:[^'\\]|\\.)+)'|`([^`]+)`)/g)]
    .map(([, double, single, template]) => (double ?? single ?? template ?? "").replaceAll("\\'", "'"))
    .filter((words) => !OFF.test(words))
    .map((words) =>
      words
        .replace(/\$\{[^}]*formatList\([^}]*\}/g, "'scope' and 'state'")
        .replace(/\$\{[^}]*pluralize\([^}]*\}/g, "parameters")
        .replace(/\$\{param\} must be a string/, "code_verifier must be a string")
        .replace(/\$\{param\} contains/, "code_challenge contains")
        .replace(/\$\{name\} /, "subject_token ")
        .replace(/\$\{msg\} unless/, "requested response_mode is not allowed unless")
        .replace(/\$\{[^}]*\}/g, "thing"),
    ),
);

test("there is something to know", () => {
  expect(said.length).toBeGreaterThan(60);
});

test.each(said)("%s", (words) => {
  const known = refusalWords("invalid_request", words);
  expect(known.key).not.toBe("errors:400.message");
  const sentences = LANGUAGES.map((language) => say(language, known));
  expect(new Set(sentences).size).toBe(LANGUAGES.length);
  for (const sentence of sentences) expect(sentence).not.toContain("{{");
});

test("names are taken out of a sentence, and nothing else of it", () => {
  expect(english(refusalWords("invalid_request", "missing required parameters 'redirect_uri' and 'scope'"))).toBe(
    "Something is missing in the request: redirect_uri, scope.",
  );
  expect(say("de", refusalWords("invalid_request", "'state' parameter must not be provided twice"))).toBe(
    "In der Anfrage steht etwas mehrfach: state.",
  );
  expect(english(refusalWords("invalid_request", "origin https://evil.example not allowed for client: app"))).not.toContain("client: app");
});

test("what is not known is told by its code, and what has none of ours by that", () => {
  expect(refusalWords("invalid_client", "client authentication failed").key).toBe("refusals:client_authentication");
  expect(refusalWords("invalid_client", "client is invalid").key).toBe("errors:protocol.invalid_client");
  expect(refusalWords("invalid_dpop_proof", "DPoP proof iat is not recent enough").key).toBe("remedies:invalid_dpop_proof.what");
  expect(refusalWords("invalid_request", "a sentence of tomorrow").key).toBe("errors:400.message");
  expect(english(refusalWords("toString", ""))).toContain("toString");
});
