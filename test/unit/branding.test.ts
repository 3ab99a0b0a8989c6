/** How an operator and an application present themselves on pages. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadAssets } from "../../src/http/assets.ts";
import { loadTemplates } from "../../src/http/templates.ts";
import { type Host, type HostOptions, startHost } from "../support/host.ts";
import { samples } from "../support/page-samples.ts";
import { type TempDir, tempDir } from "../support/temp-dir.ts";

const VIEWS = new URL("../../views", import.meta.url).pathname;
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>';

let directory: TempDir;
let host: Host | undefined;
beforeEach(() => {
  directory = tempDir("brand");
});
afterEach(async () => {
  await host?.close();
  host = undefined;
  directory.remove();
});

function write(file: string, content: string | Buffer): string {
  const path = join(directory.path, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const start = async (options: Omit<HostOptions, "routes">): Promise<Host> => {
  host = await startHost({
    ...options,
    routes: ({ render }) => [
      (ctx) => {
        const sample = samples[ctx.path.slice(1)];
        if (sample) render(ctx, sample.view, sample.model as never);
      },
    ],
  });
  return host;
};

const sheets = (html: string) => [...html.matchAll(/<link rel="stylesheet" href="([^"]+)">/g)].map(([, url]) => url as string);

test("name, colour, logo and links of the operator are on every page", async () => {
  const brand = {
    name: "Harbour & Sons",
    color: "#aa3300",
    privacyUrl: "https://harbour.example/privacy?a=1&b=2",
    termsUrl: undefined,
    supportUrl: "https://harbour.example/help",
  };
  const { send } = await start({ brand, logo: write("Our.SVG", SVG) });
  for (const page of ["home", "error", "login-plain"]) {
    const { text } = await send(`/${page}`);
    expect(text, page).toContain("Harbour &#38; Sons</title>");
    expect(text, page).toMatch(/<img src="\/assets\/logo\.svg\?v=[\w-]{16}" alt=""/);
    expect(text, page).toContain('<a href="https://harbour.example/privacy?a=1&#38;b=2">Privacy</a>');
    expect(text, page).toContain('<a href="https://harbour.example/help">Help</a>');
    expect(text, page).not.toContain("Terms of service");
    const [ours, accent = ""] = sheets(text);
    expect(ours).toContain("/assets/grantor.css");
    const sheet = await send(accent);
    expect(sheet.headers).toMatchObject({
      "content-type": "text/css; charset=utf-8",
      "cache-control": "public, max-age=31536000, immutable",
    });
    expect(sheet.text).toContain("--accent:#aa3300;--on-accent:#ffffff");
  }
  const logo = await send(/\/assets\/logo[^"]+/.exec((await send("/home")).text)?.[0] ?? "");
  expect(logo.text).toBe(SVG);
  expect(logo.headers["content-type"]).toBe("image/svg+xml");
  expect(logo.headers["content-security-policy"]).toContain("sandbox");
});

test("without any of it, pages look like ours", async () => {
  const { send } = await start({});
  const { text } = await send("/home");
  expect(sheets(text)).toHaveLength(1);
  expect(text).toContain("/assets/icon.svg?v=");
  expect(text).not.toContain("Privacy");
});

test("an application's colour takes the place of the operator's on pages that it asks for", async () => {
  const { send } = await start({ brand: { name: "Harbour", color: "#aa3300" } });
  for (const page of ["login-branded", "consent-verified"]) {
    const { text } = await send(`/${page}`);
    expect(sheets(text)[1], page).toContain("/assets/accent-0b6e4f.css");
    expect(text, page).toContain('<img src="/assets/icon.svg" alt="Logo of Harbour Mail"');
  }
  expect(sheets((await send("/login")).text)[1]).toContain("/assets/accent-aa3300.css");
});

test("there are stylesheets of colours, and of nothing else", async () => {
  const { send } = await start({});
  expect((await send("/assets/accent-00ff00.css")).status).toBe(200);
  for (const name of ["accent-00FF00", "accent-00ff0", "accent-00ff00;}", "accent-", "accent-red"])
    expect((await send(`/assets/${name}.css`)).status, name).toBe(404);
});

test("templates, parts and assets of the operator take the places of ours", async () => {
  write("home.ejs", '<% page.title("Harbour"); -%><h1>Ahoy</h1><%- page.part("anchor", { depth: 7 }) %>');
  write("parts/anchor.ejs", "<p>Anchored at <%= page.depth %></p>");
  write("assets/grantor.css", "body{color:teal}");
  write("assets/anchor.webp", "x");
  const { send, assets } = await start({ overrides: directory.path });
  const { text } = await send("/home");
  expect(text).toContain("<h1>Ahoy</h1><p>Anchored at 7</p>");
  expect(text).toContain("<footer");
  expect((await send(sheets(text)[0] as string)).text).toBe("body{color:teal}");
  expect((await send(assets.url("anchor.webp"))).headers["content-type"]).toBe("image/webp");
  expect((await send("/login-plain")).text).toContain("<h1>Sign in</h1>");
});

test.each([
  ["home.ejs", "<h1><% if (", /template .*home\.ejs does not compile/],
  ["hom.ejs", "<h1>x</h1>", /VIEWS_DIR: .*hom\.ejs takes the place of no page/],
])("a template that cannot be used stops the start: %s", (file, source, words) => {
  write(file, source);
  expect(() => loadTemplates(VIEWS, directory.path)).toThrow(words);
});

test("a directory that is not there stops the start", () => {
  expect(() => loadTemplates(VIEWS, join(directory.path, "nowhere"))).toThrow(/VIEWS_DIR: .*nowhere cannot be read \(ENOENT\)/);
});

test("a logo that cannot be used stops the start", () => {
  const assets = `${VIEWS}/assets`;
  expect(() => loadAssets([assets], join(directory.path, "none.svg"))).toThrow(/BRAND_LOGO: .*none\.svg cannot be read \(ENOENT\)/);
  expect(() => loadAssets([assets], write("logo.css", "x"))).toThrow(/BRAND_LOGO: .* is no SVG, PNG, WebP or JPEG file/);
  expect(() => loadAssets([assets], write("logo.png", Buffer.alloc(600_000)))).toThrow(/BRAND_LOGO: .* has 600000 bytes/);
});
