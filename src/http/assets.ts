/**
 * Stylesheets, scripts and the logo, served from memory. Their URLs carry a hash of the content, so that browsers keep them for good.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import type { Middleware } from "koa";
import { accentStylesheet } from "./accent.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".webp": "image/webp",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".woff2": "font/woff2",
};

/** Bytes: it comes with the first page that somebody sees. */
const MAX_LOGO = 512 * 1024;

/** Scripts of others, as they are packed for browsers, by the name under which they are served. */
const PACKED: Readonly<Record<string, string>> = {
  "simplewebauthn.js": join(dirname(createRequire(import.meta.url).resolve("@simplewebauthn/browser")), "../dist/bundle/index.umd.min.js"),
};

/** The colour is in the name: there is a stylesheet for each, made when it is asked for. */
const ACCENT = /^accent-([0-9a-f]{6})\.css$/;

/** What an image may do that is opened by itself: show what is inside of it. */
const IMAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox";

/** Of how many colours the URL is remembered; applications have few. */
const MAX_ACCENTS = 1_000;

export interface Assets {
  /** The URL of an asset, with its hash. @throws {Error} when there is no such file. */
  url(name: string): string;
  /** The URL of the stylesheet of a colour. @param color `#rrggbb`, in lower case */
  accent(color: string): string;
  /** The URL of the operator's logo, or else of ours. */
  readonly logo: string;
  /** Serves `/assets/…` to GET and HEAD; everything else goes on. */
  serve: Middleware;
}

interface Asset {
  readonly body: Buffer;
  readonly type: string;
  readonly hash: string;
}

/**
 * Reads every file of some directories (no subdirectories) into memory, and the packed ones. Of two with one name, the one of the later directory
 * counts; a directory that is not there holds none.
 * @param logo the path of an image
 * @throws {Error} with the words that say what is wrong with the logo
 */
export function loadAssets(directories: readonly string[], logo?: string): Assets {
  const files = new Map<string, Asset>();
  const own = directories
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory).map((name) => [name, join(directory, name)] as const));
  for (const [name, path] of [...Object.entries(PACKED), ...own]) {
    const type = TYPES[extname(name)];
    if (type !== undefined) files.set(name, asset(readFileSync(path), type));
  }
  const logoName = logo === undefined ? "icon.svg" : `logo${extname(logo).toLowerCase()}`;
  if (logo !== undefined) files.set(logoName, readLogo(logo));

  function find(name: string): Asset | undefined {
    const color = ACCENT.exec(name)?.[1];
    return color === undefined ? files.get(name) : asset(Buffer.from(accentStylesheet(`#${color}`)), TYPES[".css"] as string);
  }

  function url(name: string): string {
    const file = find(name);
    if (file === undefined) throw new Error(`no asset "${name}" in ${directories.join(" or ")}`);
    return `/assets/${name}?v=${file.hash}`;
  }

  const accents = new Map<string, string>();

  return {
    url,
    logo: url(logoName),
    accent(color) {
      const known = accents.get(color) ?? url(`accent-${color.slice(1)}.css`);
      if (accents.size < MAX_ACCENTS) accents.set(color, known);
      return known;
    },

    async serve(ctx, next) {
      if (!ctx.path.startsWith("/assets/")) return next();
      const file = find(ctx.path.slice("/assets/".length));
      if (file === undefined) return next();
      ctx.state.route = "/assets/:name";
      if (ctx.method !== "GET" && ctx.method !== "HEAD") {
        ctx.status = 405;
        ctx.set("Allow", "GET, HEAD");
        return;
      }
      // During a deployment a page of the next version may ask this one: what it gets must not be kept under that hash.
      const named = ctx.query.v === file.hash;
      ctx.set("Cache-Control", named ? "public, max-age=31536000, immutable" : "no-cache");
      ctx.set("ETag", `"${file.hash}"`);
      if (file.type.startsWith("image/")) ctx.set("Content-Security-Policy", IMAGE_POLICY);
      ctx.status = 200;
      if (ctx.fresh) {
        ctx.status = 304;
        return;
      }
      ctx.type = file.type;
      ctx.body = file.body;
    },
  };
}

const asset = (body: Buffer, type: string): Asset => ({
  body,
  type,
  hash: createHash("sha256").update(body).digest("base64url").slice(0, 16),
});

function readLogo(path: string): Asset {
  const type = TYPES[extname(path).toLowerCase()] ?? "";
  if (!type.startsWith("image/")) throw new Error(`BRAND_LOGO: ${path} is no SVG, PNG, WebP or JPEG file`);
  let body: Buffer;
  try {
    body = readFileSync(path);
  } catch (cause) {
    throw new Error(`BRAND_LOGO: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
  if (body.length > MAX_LOGO)
    throw new Error(`BRAND_LOGO: ${path} has ${body.length} bytes; at most ${MAX_LOGO} are served with every page`);
  return asset(body, type);
}
