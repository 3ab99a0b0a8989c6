import { afterEach, expect, test } from "vitest";
import { keepLanguage, useUiLocales, withLanguage } from "../../src/http/language.ts";
import { type Host, startHost } from "../support/host.ts";

let host: Host | undefined;
afterEach(() => host?.close());

const login = { action: "/post", signUp: "/sign-up", resetPassword: "/reset-password?a=b" };

async function start(): Promise<Host> {
  host = await startHost({
    routes: ({ render, forms }) => [
      (ctx, next) => {
        if (ctx.path === "/step") useUiLocales(ctx, "ja");
        if (ctx.path === "/engine") ctx.oidc = { params: { ui_locales: "xx es" } };
        return next();
      },
      async (ctx, next) => (ctx.method === "POST" ? forms.verifyForm(ctx, async () => render(ctx, "login", login)) : next()),
      (ctx) => render(ctx, "login", login),
    ],
  });
  return host;
}

const languageIn = (html: string) => /<html lang="(\w+)" dir="(\w+)">/.exec(html)?.slice(1).join(" ");

test("ui_locales come before the browser, whose languages come before English", async () => {
  const { send } = await start();
  const asked = async (path: string, accept?: string) =>
    languageIn((await send(path, accept === undefined ? {} : { headers: { "Accept-Language": accept } })).text);
  expect(await asked("/")).toBe("en ltr");
  expect(await asked("/", "xx, de-AT;q=0.9, fr;q=0.8")).toBe("de ltr");
  expect(await asked("/?ui_locales=ar-EG%20fr", "de")).toBe("ar rtl");
  expect(await asked("/?ui_locales=xx%20FR-ca", "de")).toBe("fr ltr");
  expect(await asked("/?ui_locales=xx", "de")).toBe("de ltr");
  expect(await asked(`/?ui_locales=${"fr%20".repeat(200)}`, "de")).toBe("de ltr");
  expect(await asked("/step?ui_locales=fr", "de")).toBe("ja ltr");
  expect(await asked("/engine", "de")).toBe("es ltr");
});

test("forms and links carry along what was asked for, and nothing that was not", async () => {
  const { send } = await start();
  const { text, headers } = await send("/?ui_locales=fr", { headers: { "Accept-Language": "de" } });
  expect(text).toContain('<input type="hidden" name="ui_locales" value="fr">');
  expect(text).toContain('href="/sign-up?ui_locales=fr"');
  expect(text).toContain('href="/reset-password?a=b&#38;ui_locales=fr"');
  const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? "";
  const cookie = headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const post = (form: Record<string, string>) =>
    send("/", {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded", Cookie: cookie, Accept: "text/html", "Accept-Language": "de" },
      body: new URLSearchParams(form).toString(),
    });
  expect(languageIn((await post({ csrf, ui_locales: "fr" })).text)).toBe("fr ltr");
  expect(languageIn((await post({ csrf })).text)).toBe("de ltr");
  const stale = await post({ csrf: "x", ui_locales: "fr" });
  expect([stale.status, languageIn(stale.text)]).toEqual([403, "fr ltr"]);

  const plain = (await send("/", { headers: { "Accept-Language": "de" } })).text;
  expect(plain).not.toContain("ui_locales");
});

test("what carries a language has one already, or gets it before the fragment", () => {
  expect(withLanguage("/account", undefined)).toBe("/account");
  expect(withLanguage("/account", "de")).toBe("/account?ui_locales=de");
  expect(withLanguage("/account?done=x#y?", "de")).toBe("/account?done=x&ui_locales=de#y?");
  expect(withLanguage("/oauth/authorize?ui_locales=fr%20en", "de")).toBe("/oauth/authorize?ui_locales=fr%20en");
});

test("redirects that stay here carry it along, others do not", async () => {
  host = await startHost({
    routes: () => [
      keepLanguage("https://id.example"),
      (ctx) => {
        if (ctx.path === "/known") {
          ctx.status = 304;
          return;
        }
        ctx.redirect(String(ctx.query.to));
        ctx.status = 303;
      },
    ],
  });
  const { send } = host;
  const location = async (to: string, more = "") => (await send(`/?to=${encodeURIComponent(to)}${more}`)).headers.location;
  const french = "&ui_locales=fr";
  expect(await location("/account?done=x", french)).toBe("/account?done=x&ui_locales=fr");
  expect(await location("https://id.example/oauth/logout/success", french)).toBe("https://id.example/oauth/logout/success?ui_locales=fr");
  expect(await location("https://id.example.evil/", french)).toBe("https://id.example.evil/");
  expect(await location("https://app.example/cb?code=1", french)).toBe("https://app.example/cb?code=1");
  expect(await location("/account")).toBe("/account");
  expect((await send("/known?ui_locales=fr")).status).toBe(304);
});
