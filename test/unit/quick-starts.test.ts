/** Quick starts: what they are filled in with, and that no value becomes code. That they work is in browser/quick-starts. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { QUICK_STARTS, type QuickStart } from "../../src/app-pages/quick-start-catalogue.ts";
import { fillIn, loadQuickStartFiles, VALUE_NAMES, type Values } from "../../src/app-pages/quick-start-files.ts";
import { secretsOf, valuesFor } from "../../src/app-pages/quick-start-values.ts";
import { CLIENT_TYPES, type ClientType, parseClientMetadata, TYPE_DEFAULTS } from "../../src/clients/client-metadata.ts";
import type { ClientRecord } from "../../src/clients/client-record.ts";
import type { Resource } from "../../src/clients/resource.ts";

const ROOT = new URL("../../", import.meta.url);
const DIRECTORY = new URL("examples/quick-starts/", ROOT);
const template = loadQuickStartFiles(QUICK_STARTS);
const files = QUICK_STARTS.flatMap((quickStart) =>
  quickStart.files.map((file) => [`${quickStart.name}/${file}`, template(quickStart, file)] as const),
);

describe("the files", () => {
  it("are those that the catalogue names", () => {
    expect(readdirSync(DIRECTORY).sort()).toEqual(QUICK_STARTS.map(({ name }) => name).sort());
    for (const { name, files } of QUICK_STARTS) expect(readdirSync(new URL(name, DIRECTORY)).sort(), name).toEqual([...files].sort());
  });

  it.each(files)("%s has values only where a whole literal stands, and no secret", (_, content) => {
    const places = content.split("{{").length - 1;
    // Nothing before the literal gives what is in it another meaning: `f"…"`, `$"…"`, `r"…"`, `@"…"`.
    const literals = [...content.matchAll(/(?<![\w$@\\"'`])"\{\{(\w+)\}\}"(?!")/g)].map(([, name]) => name as string);
    expect(literals).toHaveLength(places);
    expect(literals.filter((name) => !(VALUE_NAMES as readonly string[]).includes(name))).toEqual([]);
    expect(content).not.toMatch(/CLIENT_SECRET\s*=\s*["'][^"']/);
  });

  it("are there for every kind of application, one of them in more than a shell", () => {
    for (const type of [...CLIENT_TYPES, "api"])
      expect(
        QUICK_STARTS.filter(
          ({ fits, run }) => (fits === "api" ? type === fits : (fits as readonly string[]).includes(type)) && !run.startsWith("bash"),
        ),
        type,
      ).not.toEqual([]);
  });

  it("name the versions of packages that the tests run with", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as Record<
      string,
      Record<string, string>
    >;
    const tested: Record<string, string | undefined> = { ...devDependencies, ...dependencies };
    for (const [file, content] of files.filter(([name]) => name.endsWith("package.json"))) {
      for (const [name, version] of Object.entries((JSON.parse(content) as { dependencies: Record<string, string> }).dependencies)) {
        const installed = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, ROOT), "utf8")) as { version: string };
        expect(version, `${name} in ${file}`).toBe(tested[name] ?? installed.version);
      }
    }
  });
});

describe("filling in", () => {
  const NASTY = [
    '"',
    "\\",
    "'",
    "\n",
    "\r",
    "\u2028",
    "`",
    "$" + "{1}",
    "$(touch x)",
    "</script>",
    "\\u0022",
    "\\\\",
    "%s",
    "{{issuer}}",
    "😀",
    "\0",
    "\x7f",
    "#{x}",
  ];
  const anything = fc.array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: "binary" }))).map((parts) => parts.join(""));
  const literal = (extension: string, value: string): string => fillIn(`a${extension}`, '"{{scope}}"', { scope: value } as Values);
  const ESCAPES = /\\(?:(["\\])|(u[0-9a-f]{4}|U[0-9a-f]{8}))/g;
  const JAVA_ESCAPES = /\\(?:(["\\])|(u[0-9a-f]{4})|([0-7]{3}))/g;

  /** What a compiler reads: everything outside the escapes is printable ASCII, and neither a quotation mark nor a backslash. */
  function read(source: string, escapes: RegExp): string {
    expect(source).toMatch(/^"[\x20-\x7e]*"$/);
    const rest = source.slice(1, -1);
    expect(rest.replace(escapes, "")).not.toMatch(/["\\]/);
    return rest.replace(escapes, (_, simple?: string, unicode?: string, octal?: string) => {
      if (simple !== undefined) return simple;
      // A half of a pair joins the other half that stands beside it.
      if (unicode !== undefined) return String.fromCodePoint(Number.parseInt(unicode.slice(1), 16));
      return String.fromCharCode(Number.parseInt(octal ?? "", 8));
    });
  }

  test("JavaScript gets back what was filled in", () => {
    fc.assert(fc.property(anything, (value) => void expect(JSON.parse(literal(".js", value))).toBe(value)));
  });

  test.each([".py", ".go", ".cs"])("a literal of %s means what was filled in", (extension) => {
    fc.assert(fc.property(anything, (value) => void expect(read(literal(extension, value), ESCAPES)).toBe(value)));
  });

  test("a literal of Java does, and holds no Unicode escape of ASCII, which Java would read before it reads literals", () => {
    fc.assert(
      fc.property(anything, (value) => {
        const source = literal(".java", value);
        expect(read(source, JAVA_ESCAPES)).toBe(value);
        expect(source.replaceAll("\\\\", "")).not.toMatch(/\\u00[0-7]/);
      }),
    );
  });

  test("a shell gets back what was filled in", () => {
    const values = fc
      .sample(anything, 100)
      .concat(NASTY.join(""))
      .map((value) => value.replaceAll("\0", ""));
    const script = values.map((value) => `printf '%s\\0' ${literal(".sh", value)}`).join("\n");
    expect(execFileSync("sh", { input: script, encoding: "utf8" }).split("\0").slice(0, -1)).toEqual(
      values.map((value) => Buffer.from(value).toString()),
    );
  });

  test("is refused for a language without literals", () => {
    expect(() => literal(".xml", "x")).toThrow("a.xml");
    expect(() => fillIn("a.js", '"{{nothing}}"', {} as Values)).toThrow("nothing");
  });
});

describe("the values", () => {
  const ISSUER = "https://id.example";
  const quickStart = (name: string): QuickStart => QUICK_STARTS.find((each) => each.name === name) as QuickStart;
  const client = (type: ClientType, metadata: Record<string, unknown> = {}): ClientRecord =>
    ({ clientId: "the-client", metadata: parseClientMetadata({ ...TYPE_DEFAULTS[type], ...metadata }) }) as ClientRecord;
  const resource = (audience: string, names: string[], more: Partial<Resource> = {}): Resource =>
    ({ audience, name: "An API", scopes: names.map((name) => ({ name, description: name })), signingAlg: "RS256", ...more }) as Resource;
  const valuesOf = (name: string, record: ClientRecord, resources: Resource[] = []) =>
    valuesFor(quickStart(name), record, ISSUER, resources);
  const local = { redirect_uris: ["http://localhost:5000/back"], post_logout_redirect_uris: ["http://localhost:5000/"] };

  it("are the application's own", () => {
    const record = client("web", { ...local, scope: "openid email offline_access orders:read orders:write" });
    const { values, missing } = valuesOf("node-express", record, [
      resource("https://other.example", ["other"]),
      resource("https://orders.example", ["orders:read", "orders:write", "orders:delete"]),
    ]);
    expect(missing).toEqual([]);
    expect(values).toEqual({
      issuer: ISSUER,
      client_id: "the-client",
      redirect_uri: "http://localhost:5000/back",
      post_logout_redirect_uri: "http://localhost:5000/",
      scope: "openid email orders:read orders:write",
      resource: "https://orders.example",
      api_url: "http://localhost:4100/",
      api_scope: "orders:read",
      api_scopes: "orders:read orders:write",
    });
  });

  it("call the API where its identifier says, when that is on this machine", () => {
    const record = client("web", { ...local, scope: "openid things" });
    expect(valuesOf("api-go", record, [resource("http://localhost:3002", ["things"])]).values.api_url).toBe("http://localhost:3002/");
    expect(valuesOf("api-go", record, [resource("urn:things", ["things"])]).values.api_url).toBe("http://localhost:4100/");
  });

  it("are for userinfo while there is no API, and an API asks for one", () => {
    const record = client("web", local);
    const { values, missing } = valuesOf("node-express", record);
    expect(values).toMatchObject({ resource: ISSUER, api_url: `${ISSUER}/oauth/userinfo`, scope: "openid profile email" });
    expect(missing).toEqual([]);
    const api = valuesOf("api-node-koa", record);
    expect(api.values).toMatchObject({ resource: "http://localhost:4100", api_scope: "example:read" });
    expect(api.missing).toEqual([{ name: "resource", audience: "http://localhost:4100", scope: "example:read" }]);
    expect(valuesOf("api-node-koa", client("web", local), [resource("urn:things", ["things"])]).missing).toEqual([
      { name: "api_unchosen" },
    ]);
  });

  it.each([
    ["https alone", ["https://app.example/callback"]],
    ["a path that the program has another use for", ["http://localhost:5000/sign-in"]],
    ["its root", ["http://localhost:5000/"]],
    ["the port of every web server", ["http://localhost/callback"]],
    ["a path that a router takes for a pattern", ["http://localhost:5000/:a(b)"]],
    ["a query", ["http://localhost:5000/callback?a=b"]],
  ])("say which redirect URI to register when there is %s", (_, redirect_uris) => {
    const { values, missing } = valuesOf("node-koa", client("web", { redirect_uris }));
    expect(values.redirect_uri).toBe("http://localhost:4000/callback");
    expect(missing).toEqual([
      { name: "redirect_uri", value: "http://localhost:4000/callback" },
      { name: "post_logout_redirect_uri", value: "http://localhost:4000/" },
    ]);
  });

  it("take a redirect URI that the program can serve, wherever it stands, and for curl any", () => {
    const record = client("web", { redirect_uris: ["https://app.example/callback", "http://127.0.0.1:5000/auth/callback/grantor"] });
    expect(valuesOf("authjs", record).values.redirect_uri).toBe("http://127.0.0.1:5000/auth/callback/grantor");
    expect(valuesOf("python", record).values.redirect_uri).toBe("http://127.0.0.1:5000/auth/callback/grantor");
    expect(valuesOf("curl-sign-in", record)).toMatchObject({ values: { redirect_uri: "https://app.example/callback" }, missing: [] });
  });

  it.each([
    ["the one that the wizard proposes", ["http://127.0.0.1/callback"], "http://127.0.0.1/callback"],
    ["one with a port and a path of its own", ["com.example.app:/callback", "http://[::1]:5000/"], "http://[::1]:5000/"],
  ])("take a loopback address for a program that listens on any port: %s", (_, redirect_uris, redirect_uri) => {
    const record = client("native", { redirect_uris });
    expect(valuesOf("go-native", record)).toMatchObject({ values: { redirect_uri }, missing: [] });
  });

  it.each(["com.example.app:/callback", "https://app.example/callback", "http://127.0.0.1/callback?a=b"])(
    "say that a program which listens cannot take %s",
    (uri) => {
      expect(valuesOf("node-native", client("native", { redirect_uris: [uri] }))).toMatchObject({
        values: { redirect_uri: "http://127.0.0.1/callback" },
        missing: [{ name: "redirect_uri", value: "http://127.0.0.1/callback" }],
      });
    },
  );

  it("say what else is missing", () => {
    const keys = { jwks_uri: "https://app.example/keys", token_endpoint_auth_method: "private_key_jwt" };
    expect(valuesOf("go", client("web", { ...local, ...keys })).missing).toEqual([{ name: "auth_method", value: "private_key_jwt" }]);
    expect(valuesOf("go", client("web", { ...local, scope: "email" })).missing).toEqual([{ name: "scope", value: "openid" }]);
    const protectedByMore = { require_pushed_authorization_requests: true, dpop_bound_access_tokens: true };
    expect(valuesOf("go", client("web", { ...local, ...protectedByMore })).missing).toEqual([{ name: "pushed" }, { name: "dpop" }]);
    expect(valuesOf("api-go", client("web", { ...local, ...protectedByMore, scope: "a" }), [resource("urn:a", ["a"])]).missing).toEqual([]);
    expect(valuesOf("curl-service", client("service")).missing).toEqual([{ name: "resource_of_service" }]);
    const record = client("web", { ...local, scope: "openid things" });
    const symmetric = resource("https://a.example", ["things"], { signingAlg: "HS256" });
    expect(valuesOf("api-java", record, [symmetric]).missing).toEqual([{ name: "symmetric", value: "https://a.example" }]);
    const edwards = resource("https://e.example", ["things"], { signingAlg: "EdDSA" });
    expect(valuesOf("api-dotnet", record, [edwards]).missing).toEqual([
      { name: "algorithm", value: "https://e.example", algorithm: "EdDSA" },
    ]);
    expect(valuesOf("api-go", record, [edwards]).missing).toEqual([]);
    expect(valuesOf("api-java", record, [symmetric, resource("https://b.example", ["things"])])).toMatchObject({
      missing: [],
      values: { resource: "https://b.example" },
    });
  });

  it("hold a secret's place only where there is one", () => {
    expect(secretsOf(quickStart("curl-sign-in"), client("native", { redirect_uris: ["com.example.app:/callback"] }).metadata)).toEqual([]);
    expect(secretsOf(quickStart("curl-sign-in"), client("web", local).metadata)).toEqual(["CLIENT_SECRET"]);
    expect(secretsOf(quickStart("api-curl"), client("spa", local).metadata)).toEqual(["CLIENT_ID", "CLIENT_SECRET"]);
  });

  it("fill every file of every quick start", () => {
    const record = client("web", local);
    for (const each of QUICK_STARTS) {
      const { values } = valuesFor(each, record, ISSUER, []);
      for (const file of each.files) expect(fillIn(file, template(each, file), values)).not.toMatch(/"\{\{\w+\}\}"/);
    }
  });
});
