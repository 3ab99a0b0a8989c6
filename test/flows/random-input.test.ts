/** Whatever is sent to an endpoint: an answer of HTTP, not a failure of the server, and no way out to an address that nobody registered. */
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { authorizationUrl, authorize, type Person, pkce, post, type SeededClient, signIn } from "../support/grantor.ts";

const RUNS = 120;
const GRANTS = [
  "authorization_code",
  "refresh_token",
  "client_credentials",
  "urn:ietf:params:oauth:grant-type:device_code",
  "password",
  "implicit",
];

const junk = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 60 }),
  fc.constantFrom(
    "",
    "\u0000",
    " ",
    "%",
    "null",
    "undefined",
    "true",
    "-1",
    "1e999",
    "[]",
    "{}",
    '{"a":',
    "a.b.c",
    "..",
    "__proto__",
    "constructor",
    "https://evil.example/",
    "javascript:alert(1)",
  ),
  fc.constantFrom(
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    "e30.e30.e30",
    "x".repeat(3000),
    "openid ".repeat(300),
    "\ud800",
    "\u202e",
    "0".repeat(400),
  ),
);

/** Some of the named parameters, each with something that fits or something that does not, at times twice. */
const parametersOf = (known: Record<string, readonly string[]>): fc.Arbitrary<[string, string][]> =>
  fc
    .tuple(
      ...Object.entries(known).map(([name, fitting]) => {
        const value =
          fitting.length === 0 ? junk : fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...fitting) }, { weight: 1, arbitrary: junk });
        const once = value.map((each): [string, string][] => [[name, each]]);
        const twice = fc.tuple(value, value).map((pair): [string, string][] => pair.map((each) => [name, each]));
        return fc.oneof(
          { weight: 12, arbitrary: once },
          { weight: 3, arbitrary: fc.constant<[string, string][]>([]) },
          { weight: 1, arbitrary: twice },
        );
      }),
      fc.oneof(
        { weight: 5, arbitrary: fc.constant<[string, string][]>([]) },
        { weight: 1, arbitrary: fc.tuple(junk, junk).map((pair): [string, string][] => [pair]) },
      ),
    )
    .map((groups) => groups.flat());

describeFlows(
  "random input",
  (flow) => {
    let client: SeededClient;
    let device: SeededClient;
    let spa: SeededClient;
    let person: Person;
    let agent: Agent;
    let own: {
      code: string;
      refresh_token: string;
      access_token: string;
      id_token: string;
      device_code: string;
      user_code: string;
      request_uri: string;
    };

    beforeAll(async () => {
      const grant_types = ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"];
      client = await flow.grantor.client({ metadata: { grant_types, post_logout_redirect_uris: ["https://app.example/out"] } });
      device = await flow.grantor.client({ type: "device" });
      spa = await flow.grantor.client({ type: "spa" });
      person = await flow.grantor.person();
      const { tokens, code, agent: browser } = await signIn(flow.grantor, client, person);
      agent = browser;
      const begun = (await (await post(`${flow.grantor.url}/oauth/device`, device, { scope: "openid" })).json()) as {
        device_code: string;
        user_code: string;
      };
      const pushed = await post(`${flow.grantor.url}/oauth/par`, client, {
        client_id: client.client_id,
        redirect_uri: client.redirect_uri,
        response_type: "code",
        scope: "openid",
        code_challenge: pkce().challenge,
        code_challenge_method: "S256",
      });
      const { request_uri } = (await pushed.json()) as { request_uri: string };
      own = { ...(tokens as Required<typeof tokens>), code, ...begun, request_uri };
    });

    const expectSound = async (response: Response, what: unknown) => {
      const body = await response.text();
      const location = response.headers.get("Location");
      const leaves =
        location !== null &&
        !location.startsWith("/") &&
        !location.startsWith(flow.grantor.url) &&
        !location.startsWith("https://app.example/");
      expect({
        what,
        failed: response.status >= 500,
        leaves: leaves ? location : false,
        trace: /node_modules|\bat .+:\d+:\d+/.test(body),
      }).toEqual({
        what,
        failed: false,
        leaves: false,
        trace: false,
      });
      // An OAuth error is one that the specifications know.
      if (response.headers.get("Content-Type")?.startsWith("application/json") && response.status >= 400) {
        expect(JSON.parse(body)).toEqual(expect.objectContaining({ error: expect.stringMatching(/^[a-z_]+$/) }));
      }
    };
    const check = <T>(arbitrary: fc.Arbitrary<T>, send: (value: T) => Promise<Response>, runs = RUNS) =>
      fc.assert(
        fc.asyncProperty(arbitrary, async (value) => expectSound(await send(value), value)),
        { numRuns: runs, endOnFailure: false },
      );
    const form = (path: string, authenticated: boolean) => (parameters: [string, string][]) => {
      const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64");
      return agent.request(`${flow.grantor.url}${path}`, {
        method: "POST",
        body: new URLSearchParams(parameters),
        headers: { Accept: "*/*", ...(authenticated && { Authorization: `Basic ${basic}` }) },
      });
    };
    const authorizationParameters = () => ({
      client_id: [client.client_id, spa.client_id, device.client_id],
      redirect_uri: [client.redirect_uri],
      response_type: ["code"],
      scope: ["openid", "openid profile email", "openid offline_access roles"],
      state: ["the-state"],
      nonce: ["n-1"],
      code_challenge: [pkce().challenge],
      code_challenge_method: ["S256", "plain"],
      response_mode: ["query", "fragment", "form_post"],
      prompt: ["none", "login", "consent", "login consent", "select_account"],
      max_age: ["0", "60"],
      resource: [flow.grantor.url],
      id_token_hint: [own.id_token],
      login_hint: [person.email],
      request_uri: [own.request_uri],
      claims: ['{"id_token":{"sub":{"value":"x"}}}'],
      ui_locales: ["en"],
      acr_values: ["urn:grantor:acr:password"],
    });

    it("at the authorization endpoint", () =>
      check(parametersOf(authorizationParameters()), (parameters) =>
        agent.request(`${flow.grantor.url}/oauth/authorize?${new URLSearchParams(parameters)}`, { headers: { Accept: "*/*" } }),
      ));

    it("at the authorization endpoint, with few parameters and much that fits", () => {
      const { request_uri: _, max_age: __, claims: ___, ...fewer } = authorizationParameters();
      return check(parametersOf(fewer), (parameters) =>
        agent.request(`${flow.grantor.url}/oauth/authorize?${new URLSearchParams(parameters)}`),
      );
    });

    it("at the endpoint of pushed requests", () => check(parametersOf(authorizationParameters()), form("/oauth/par", true)));

    it("at the token endpoint", () =>
      check(
        parametersOf({
          grant_type: GRANTS,
          code: [own.code],
          redirect_uri: [client.redirect_uri],
          code_verifier: [pkce().verifier],
          refresh_token: [own.refresh_token, own.access_token],
          device_code: [own.device_code],
          scope: ["openid", "openid email"],
          resource: [flow.grantor.url],
        }),
        form("/oauth/token", true),
        RUNS * 2,
      ));

    it("at the token endpoint, whoever asks", () =>
      check(
        parametersOf({
          grant_type: GRANTS,
          client_id: [client.client_id, spa.client_id],
          client_secret: [client.client_secret as string],
          client_assertion: [own.id_token],
          client_assertion_type: ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
          refresh_token: [own.refresh_token],
        }),
        form("/oauth/token", false),
      ));

    it.each(["/oauth/introspect", "/oauth/revoke"])("at %s", (path) =>
      check(
        parametersOf({
          token: [own.id_token, own.code, own.device_code],
          token_type_hint: ["access_token", "refresh_token"],
          client_id: [client.client_id],
        }),
        form(path, true),
      ),
    );

    it("at userinfo", () =>
      check(fc.tuple(parametersOf({ access_token: [own.access_token], scope: ["openid"] }), fc.boolean()), ([parameters, bearer]) =>
        bearer
          ? fetch(`${flow.grantor.url}/oauth/userinfo?${new URLSearchParams(parameters)}`, {
              headers: { Authorization: `Bearer ${own.access_token}` },
            })
          : form("/oauth/userinfo", false)(parameters),
      ));

    it("at the device authorization endpoint and its page", async () => {
      await check(
        parametersOf({
          client_id: [device.client_id, client.client_id],
          scope: ["openid"],
          resource: [flow.grantor.url],
          prompt: ["none"],
          max_age: ["1"],
          id_token_hint: [own.id_token],
        }),
        form("/oauth/device", false),
      );
      const page = await agent.open(`${flow.grantor.url}/device`);
      const fields = page.forms[0]?.fields ?? {};
      await check(
        parametersOf({ xsrf: [fields.xsrf as string], user_code: [own.user_code], confirm: ["yes"], abort: ["yes"] }),
        form("/device", false),
      );
      await check(
        parametersOf({ user_code: [own.user_code] }),
        (parameters) => agent.request(`${flow.grantor.url}/device?${new URLSearchParams(parameters)}`),
        40,
      );
    });

    it("at logout", async () => {
      const known = {
        id_token_hint: [own.id_token],
        client_id: [client.client_id],
        post_logout_redirect_uri: ["https://app.example/out"],
        state: ["s"],
        logout_hint: [person.email],
      };
      await check(parametersOf(known), (parameters) =>
        agent.request(`${flow.grantor.url}/oauth/logout?${new URLSearchParams(parameters)}`),
      );
      await check(parametersOf({ xsrf: [], logout: ["yes"] }), form("/oauth/logout/confirm", false), 40);
    });

    it("at registration and its management", async () => {
      const { token } = await flow.grantor.services.registrationTokens.createInitial();
      const member = fc.oneof(
        fc.jsonValue({ maxDepth: 2 }),
        junk,
        fc.array(junk, { maxLength: 3 }),
        fc.constantFrom(
          ["https://app.example/callback"],
          ["authorization_code"],
          ["code"],
          "none",
          "private_key_jwt",
          { keys: [{}] },
          { keys: [{ kty: "RSA", n: "", e: "AQAB" }] },
        ),
      );
      const names = [
        "redirect_uris",
        "grant_types",
        "response_types",
        "client_name",
        "token_endpoint_auth_method",
        "jwks",
        "jwks_uri",
        "scope",
        "logo_uri",
        "contacts",
        "application_type",
        "default_max_age",
        "id_token_signed_response_alg",
        "backchannel_logout_uri",
        "sector_identifier_uri",
        "subject_type",
        "client_id",
        "client_secret",
        "software_statement",
        "request_uris",
        "tls_client_auth_subject_dn",
        "require_pkce",
        "__proto__",
      ];
      const metadata = fc
        .dictionary(fc.constantFrom(...names), member, { maxKeys: 8 })
        .map((members) => ({ redirect_uris: ["https://app.example/callback"], ...members }));
      const send = (url: string, method: string, bearer: string) => (body: unknown) =>
        fetch(url, {
          method,
          body: JSON.stringify(body),
          headers: { "Content-Type": "application/json", Authorization: `Bearer ${bearer}` },
        });
      await check(metadata, send(`${flow.grantor.url}/oauth/register`, "POST", token), RUNS * 2);
      const registered = await send(
        `${flow.grantor.url}/oauth/register`,
        "POST",
        token,
      )({ redirect_uris: ["https://app.example/callback"] });
      const mine = (await registered.json()) as { client_id: string; registration_client_uri: string; registration_access_token: string };
      let bearer = mine.registration_access_token;
      await check(metadata, async (body) => {
        const response = await send(mine.registration_client_uri, "PUT", bearer)({ client_id: mine.client_id, ...body });
        if (response.status === 200)
          bearer = ((await response.clone().json()) as { registration_access_token: string }).registration_access_token;
        return response;
      });
      await check(fc.jsonValue(), send(`${flow.grantor.url}/oauth/register`, "POST", token));
    });

    it("in the pages' forms", async () => {
      const visitor = new Agent();
      const page = await visitor.open(authorizationUrl(flow.grantor.url, client, pkce()));
      const { action, fields } = page.forms[0] as { action: string; fields: Record<string, string> };
      const csrf = [fields.csrf as string];
      const submit = (url: string) => (parameters: [string, string][]) =>
        visitor.request(url, { method: "POST", body: new URLSearchParams(parameters) });
      await check(parametersOf({ csrf, email: [], password: [], decision: ["allow", "deny"] }), submit(action), 40);
      await check(parametersOf({ csrf }), submit(`${action}/switch-account`), 20);
      await check(parametersOf({ csrf, email: [], password: [], name: ["Ada"] }), submit(`${flow.grantor.url}/sign-up`), 40);
      await check(parametersOf({ csrf, client_id: [client.client_id] }), submit(`${flow.grantor.url}/account/applications/remove`), 40);
      const asked = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "consent" }));
      const consent = asked.forms.at(-1);
      if (consent === undefined) throw new Error(asked.text);
      const decide = (parameters: [string, string][]) =>
        agent.request(consent.action, { method: "POST", body: new URLSearchParams(parameters) });
      await check(parametersOf({ csrf: [consent.fields.csrf as string], decision: [], email: [], password: [] }), decide, 40);
    });

    it("in any path and method", () =>
      check(
        fc.tuple(
          fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"),
          fc.array(
            fc.oneof(
              fc.constantFrom(
                "oauth",
                "authorize",
                "token",
                "register",
                "interaction",
                "device",
                ".well-known",
                "account",
                "assets",
                "sign-in",
                "callback",
                "health",
                "..",
                "",
              ),
              fc.webPath(),
              fc.string({ maxLength: 10 }).map(encodeURIComponent),
            ),
            { maxLength: 5 },
          ),
          fc.webQueryParameters(),
        ),
        ([method, segments, query]) => agent.request(`${flow.grantor.url}/${segments.join("/")}?${query}`, { method }),
        RUNS * 2,
      ));

    it("and afterwards everything still works", async () => {
      expect((await fetch(`${flow.grantor.url}/health/ready`)).status).toBe(200);
      const fresh = await flow.grantor.client();
      const end = await authorize(new Agent(), authorizationUrl(flow.grantor.url, fresh, pkce()), await flow.grantor.person());
      expect(new URL(end.url).searchParams.get("code")).toBeTruthy();
    });
  },
  { random: true },
);
