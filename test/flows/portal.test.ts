/** `/apps`: applications are registered and looked after, as a browser without JavaScript sees it. */
import { beforeEach, expect, test } from "vitest";
import { Agent, type Form, type Page } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import { answerOf, type Person, post, type SeededClient, signIn } from "../support/grantor.ts";
import { waitFor } from "../support/wait-for.ts";

const CALLBACK = "http://localhost:4000/callback";

describeFlows("the developers' portal", (flow) => {
  let person: Person;
  let agent: Agent;
  const at = (path: string) => `${flow.grantor.url}${path}`;
  const open = (path: string, of = agent) => of.open(at(path));
  const fill = async (path: string, typed: Record<string, string>, of = agent): Promise<Page> => of.submit(await open(path, of), typed);
  const copied = (page: Page, name: string) => new RegExp(`id="${name}" value="([^"]*)"`).exec(page.text)?.[1];
  const isSignInPage = (page: Page) => page.status === 200 && page.text.includes('name="password"');
  const register = (kind: string, typed: Record<string, string>, of = agent) =>
    fill(`/apps/new/${kind}`, { client_name: "Notes", ...typed }, of);
  const web = { redirect_uris: CALLBACK, post_logout_redirect_uris: "http://localhost:4000/" };

  async function registered(kind: string, typed: Record<string, string> = {}): Promise<SeededClient> {
    const page = await register(kind, typed);
    expect([page.status, page.url.endsWith("/created")]).toEqual([200, true]);
    const [client_id = "", client_secret] = [copied(page, "client_id"), copied(page, "client_secret")];
    return { client_id, redirect_uri: typed.redirect_uris?.split("\n")[0] ?? "", ...(client_secret !== undefined && { client_secret }) };
  }

  beforeEach(async () => {
    [person, agent] = [await flow.grantor.person(), new Agent()];
    await signIn(flow.grantor, await flow.grantor.client(), person, { agent });
  });

  test("whoever is not signed in is sent to the sign-in page, and comes back", async () => {
    const { client_id } = await registered("web", web);
    for (const path of ["/apps", "/apps/new", "/apps/new/web", `/apps/${client_id}`, `/apps/${client_id}/addresses`]) {
      const stranger = new Agent();
      const page = await open(path, stranger);
      expect([path, isSignInPage(page)]).toEqual([path, true]);
      if (!path.endsWith("addresses")) continue;
      const back = await stranger.submit(page, { email: person.email, password: person.password });
      expect([back.url, back.status]).toEqual([at(path), 200]);
    }
    expect((await open("/")).text).toContain('href="/apps"');
    expect((await open("/account")).text).toContain('href="/apps"');
    // Everybody may register applications here: a stranger is shown the way, by which they come to the sign-in page.
    expect((await open("/", new Agent())).text).toContain('href="/apps"');
  });

  test("a web application is registered, its secret is shown once, and it signs people in", async () => {
    const form = await open("/apps/new/web");
    const made = await agent.submit(form, { client_name: "Notes <1>", ...web });
    const [client_id = "", client_secret = ""] = [copied(made, "client_id"), copied(made, "client_secret")];
    expect([client_id, client_secret]).toEqual([expect.stringMatching(/^[\w-]{22}$/), expect.stringMatching(/^[\w-]{43}$/)]);
    expect(made.text).toContain("Notes &#60;1&#62;");
    expect(made.url).not.toContain(client_secret);

    // Neither a reload, nor the form once more, shows it again or makes another one.
    for (const again of [await agent.open(made.url), await agent.submit(form, { client_name: "Twice", ...web })]) {
      expect([again.status, again.url, copied(again, "client_id")]).toEqual([200, made.url, client_id]);
      expect(again.text).not.toContain(client_secret);
      expect(again.text).toContain("was shown once");
    }
    expect((await open("/apps")).text.match(/Notes &#60;1&#62;/g)).toHaveLength(1);

    const client = { client_id, client_secret, redirect_uri: CALLBACK };
    expect((await signIn(flow.grantor, client, person, { agent })).tokens.refresh_token).toEqual(expect.any(String));
    expect((await open(`/apps/${client_id}`)).text).toContain(person.email);
  });

  test("a form that is sent twice at once makes one application, and its secret is seen whichever answer the browser goes by", async () => {
    const form = await open("/apps/new/web");
    const [{ action, fields }] = form.forms as [Form];
    const send = () => agent.send(action, { method: "POST", body: new URLSearchParams({ ...fields, client_name: "Twice", ...web }) });
    const answers = await Promise.all([send(), send(), send()]);
    const places = new Set(answers.map(({ status, headers }) => `${status} ${headers.get("location")}`));
    expect([...places]).toEqual([expect.stringMatching(/^303 .*\/created$/)]);
    for (const { headers } of answers) expect(headers.getSetCookie().join()).toContain("grantor_new_secret=");

    // The browser hears of one of them alone.
    const heard = answers[1];
    agent.receive(heard, action);
    const created = heard.headers.get("location") as string;
    const page = await open(created);
    const [client_id = "", client_secret = ""] = [copied(page, "client_id"), copied(page, "client_secret")];
    expect(await flow.grantor.services.clients.checkSecret(client_id, client_secret)).toBe(true);

    // Once it was seen nothing shows it again.
    agent.receive(await send(), action);
    const again = await open(created);
    expect([again.text.includes("was shown once"), again.text.includes(client_secret)]).toEqual([true, false]);
    expect((await open("/apps")).text.match(/Twice/g)).toHaveLength(1);
  });

  test("a form that somebody kept does not bring back an application that was deleted", async () => {
    const form = await open("/apps/new/web");
    const client_id = copied(await agent.submit(form, { client_name: "Phish", ...web }), "client_id");
    await flow.grantor.services.clients.delete(client_id as string);
    await flow.later(3_600, async () => {
      const again = await agent.submit(form, { client_name: "Phish", ...web });
      expect([again.status, copied(again, "client_id")]).toEqual([200, expect.not.stringMatching(client_id as string)]);
    });
    expect(await flow.stored.client(client_id as string)).toBeUndefined();
  });

  test("every kind gets what is safe for it, and nothing that a form adds", async () => {
    const kinds = { web, spa: web, native: { redirect_uris: "http://127.0.0.1/callback" }, service: {}, device: {} };
    const methods: Record<string, string> = {};
    for (const [kind, typed] of Object.entries(kinds)) {
      const extra = {
        token_endpoint_auth_method: "client_secret_post",
        first_party: "true",
        verified: "true",
        require_pkce: "false",
        "scope:grantor:keys:write": "yes",
      };
      const { client_id } = await registered(kind, { ...typed, ...extra });
      const client = await flow.stored.client(client_id);
      expect(client).toMatchObject({ firstParty: false, verified: false, requirePkce: true, managementScopes: [], createdBy: person.id });
      methods[kind] = client?.metadata.token_endpoint_auth_method ?? "";
    }
    expect(methods).toEqual({ web: "client_secret_basic", spa: "none", native: "none", service: "client_secret_basic", device: "none" });
  });

  test("a program of its own gets the scopes that were chosen for it", async () => {
    const audience = "https://notes.example/api";
    await flow.grantor.resource(audience, { scopes: ["notes:read", "notes:write"] });
    await waitFor("the server to hear of the resource", async () => (await open("/apps/new/service")).text.includes("notes:read"));
    const client = await registered("service", { "scope:notes:read": "yes" });
    const answer = await answerOf(
      post(at("/oauth/token"), client, { grant_type: "client_credentials", resource: audience, scope: "notes:read" }),
    );
    expect(answer).toMatchObject({ status: 200, body: { scope: "notes:read" } });
    const refused = await register("service", { "scope:no-such-thing": "yes" });
    expect([refused.status, refused.text.includes("not yours to give")]).toEqual([400, true]);
  });

  test("what is wrong stands beside its field, in words, with what was typed", async () => {
    const wrong = await register("web", {
      client_name: "",
      redirect_uris: "http://app.example/cb\nhttps://app.example/*\nhttps://right.example/cb",
    });
    expect(wrong.status).toBe(400);
    for (const words of ['id="client_name-error"']) expect(wrong.text).toContain(words);
    const named = await agent.submit(wrong, { client_name: "Notes", redirect_uris: "http://app.example/cb\nhttps://app.example/*" });
    expect(named.status).toBe(400);
    for (const words of ['id="redirect_uris-error"', "Plain http is for your own computer", "compared letter by letter"])
      expect(named.text).toContain(words);
    const none = await agent.submit(named, { client_name: "Notes", redirect_uris: " \n" });
    expect([none.status, none.text.includes("at least one address")]).toEqual([400, true]);
    for (const kind of ["nothing", "__proto__", "web%2f"]) expect((await open(`/apps/new/${kind}`)).status).toBe(404);

    const { csrf = "" } = (await open("/apps/new/web")).forms[0]?.fields ?? {};
    const check = (uris: string, kind: string) =>
      agent.request(at("/apps/check-uris"), {
        method: "POST",
        body: new URLSearchParams({ csrf, uris, kind }),
        headers: { Accept: "application/json" },
      });
    expect(await (await check("https://app.example/cb\nhttp://localhost/cb\nftp://x", "redirect_web")).json()).toEqual([
      { uri: "https://app.example/cb" },
      { uri: "http://localhost/cb", note: expect.any(String) },
      { uri: "ftp://x", fault: expect.stringContaining("https://") },
    ]);
    expect((await agent.request(at("/apps/check-uris"), { method: "POST", body: new URLSearchParams({ uris: "" }) })).status).toBe(403);
  });

  test("somebody else's application is none", async () => {
    const { client_id } = await registered("web", web);
    const other = new Agent();
    await signIn(flow.grantor, await flow.grantor.client(), await flow.grantor.person(), { agent: other });
    const { csrf = "" } = (await open("/apps/new/web", other)).forms[0]?.fields ?? {};
    for (const id of [client_id, "nothing", "%00", "a".repeat(300), "new%2fweb"]) {
      for (const path of ["", "/created", "/addresses", "/look", "/scopes", "/keys", "/lifetimes", "/protection"]) {
        const url = at(`/apps/${id}${path}`);
        expect([id, path, (await other.open(url)).status]).toEqual([id, path, 404]);
        const posted = await other.open(url, { method: "POST", body: new URLSearchParams({ csrf, client_name: "Mine" }) });
        expect([404, 405]).toContain(posted.status);
      }
    }
    expect((await flow.stored.client(client_id))?.metadata.client_name).toBe("Notes");
  });

  test("settings are saved one page at a time, and recorded", async () => {
    const client = await registered("web", web);
    const path = `/apps/${client.client_id}`;
    const save = (section: string, typed: Record<string, string>) => fill(`${path}/${section}`, typed);
    const metadata = async () => (await flow.stored.client(client.client_id))?.metadata;
    const saved = async (section: string, typed: Record<string, string>) => {
      const page = await save(section, typed);
      expect([section, page.status, page.text.includes("Saved.")]).toEqual([section, 200, true]);
    };

    await saved("addresses", {
      redirect_uris: `${CALLBACK}\r\nhttps://notes.example/cb`,
      post_logout_redirect_uris: "",
      backchannel_logout_uri: "https://notes.example/out",
    });
    await saved("look", {
      client_name: "Better notes",
      client_uri: "https://notes.example",
      logo_uri: "",
      policy_uri: "",
      tos_uri: "",
      contacts: "a@notes.example",
    });
    await saved("scopes", { "scope:openid": "yes", "scope:email": "yes" });
    await saved("lifetimes", { access_token_max_ttl: "60", refresh_token_max_ttl: "3600" });
    expect(await metadata()).toMatchObject({
      redirect_uris: [CALLBACK, "https://notes.example/cb"],
      backchannel_logout_uri: "https://notes.example/out",
      client_name: "Better notes",
      contacts: ["a@notes.example"],
      access_token_max_ttl: 60,
    });
    expect(await metadata()).not.toHaveProperty("post_logout_redirect_uris");
    const { tokens } = await signIn(flow.grantor, client, person, { agent, parameters: { scope: "openid email" } });
    expect(tokens.expires_in).toBeLessThanOrEqual(60);

    const wrong = await save("look", { client_name: "x".repeat(101), logo_uri: "javascript:alert(1)", contacts: "nobody" });
    expect(wrong.status).toBe(400);
    for (const id of ["client_name-error", "logo_uri-error", "contacts-error"]) expect(wrong.text).toContain(`id="${id}"`);
    expect((await save("lifetimes", { access_token_max_ttl: "1e9" })).status).toBe(400);
    expect((await save("keys", { token_endpoint_auth_method: "private_key_jwt", jwks: "{", jwks_uri: "" })).status).toBe(400);
    const pem = "-----BEGIN PRIVATE KEY----- PASTED";
    for (const typed of [
      { jwks: '{"kty":"EC","d":"PASTED"}' },
      { jwks: '{"keys":[{"d": "PASTED",}]}' },
      { jwks: pem },
      { jwks_uri: pem },
    ]) {
      const { text } = await save("keys", { token_endpoint_auth_method: "private_key_jwt", jwks: "", jwks_uri: "", ...typed });
      expect([text.includes("PASTED"), text.includes("must never leave your application")]).toEqual([false, true]);
    }
    expect((await save("keys", { token_endpoint_auth_method: "none", jwks: "", jwks_uri: "" })).text).toContain("Choose one of these.");
    expect((await open("/apps?after=garbage")).status).toBe(400);
    const { privateKey } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const { d, ...publicJwk } = await crypto.subtle.exportKey("jwk", privateKey);
    const told = await save("keys", {
      token_endpoint_auth_method: "private_key_jwt",
      jwks: JSON.stringify({ keys: [{ ...publicJwk, d }] }),
    });
    expect([told.status, told.text.includes("must never leave your application"), told.text.includes(String(d))]).toEqual([
      400,
      true,
      false,
    ]);

    // With a key the secret ends; back to a secret there is a new one, shown once.
    const { kty, crv, x, y } = publicJwk;
    await saved("keys", { token_endpoint_auth_method: "private_key_jwt", jwks: JSON.stringify({ keys: [{ kty, crv, x, y }] }) });
    expect((await flow.stored.client(client.client_id))?.secretHash).toBeUndefined();
    const back = await save("keys", { token_endpoint_auth_method: "client_secret_basic", jwks: "" });
    expect(copied(back, "client_secret")).toMatch(/^[\w-]{43}$/);
    await saved("protection", { require_pushed_authorization_requests: "yes", dpop_bound_access_tokens: "yes" });
    expect(await metadata()).toMatchObject({ require_pushed_authorization_requests: true, dpop_bound_access_tokens: true });
  });

  test("what an operator looked at or stopped does not change behind their back", async () => {
    const { client_id } = await registered("web", web);
    const { clients } = flow.grantor.services;
    await clients.update(client_id, { verified: true });
    const path = `/apps/${client_id}`;
    const lookWith = (client_name: string) => ({ client_name, client_uri: "", logo_uri: "", policy_uri: "", tos_uri: "", contacts: "" });
    expect((await fill(`${path}/look`, { ...lookWith("Notes"), contacts: "a@notes.example" })).text).not.toContain("not verified until");
    expect((await fill(`${path}/look`, lookWith("Your bank"))).text).toContain("not verified until");
    expect(await clients.find(client_id)).toMatchObject({ verified: false });

    await clients.update(client_id, { firstParty: true });
    const refused = await fill(`${path}/look`, lookWith("The operator"));
    expect([refused.status, refused.text.includes("An operator vouches")]).toEqual([400, true]);

    await clients.update(client_id, { firstParty: false });
    const before = await open(`${path}/look`);
    await clients.suspend(client_id);
    const late = await agent.submit(before, lookWith("Late"));
    expect([late.status, late.text.includes("suspended this application")]).toEqual([409, true]);
    expect((await open(`${path}/look`)).forms.filter(({ action }) => action.endsWith("/look"))).toEqual([]);
  });

  test("who signed in long ago does it again before addresses and keys change", async () => {
    const { client_id } = await registered("web", web);
    await flow.later(3_600, async () => {
      for (const section of ["addresses", "keys", "protection"])
        expect(isSignInPage(await open(`/apps/${client_id}/${section}`))).toBe(true);
      expect((await open(`/apps/${client_id}/look`)).text).toContain('name="client_name"');
    });
  });
});
