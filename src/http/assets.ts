/**
 * Stylesheet and scripts, served from memory. Their URLs carry a hash of the content, so that browsers keep them for good.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import type { Middleware } from "koa";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

/** Scripts of others, as they are packed for browsers, by the name under which they are served. */
const PACKED: Readonly<Record<string, string>> = {
  "simplewebauthn.js": join(dirname(createRequire(import.meta.url).resolve("@simplewebauthn/browser")), "../dist/bundle/index.umd.min.js"),
};

export interface Assets {
  /** The URL of an asset, with its hash. @throws {Error} when there is no such file. */
  url(name: string): string;
  /** Serves `/assets/…` to GET and HEAD; everything else goes on. */
  serve: Middleware;
}

/** Reads every file of a directory (no subdirectories) into memory, and the packed ones. */
export function loadAssets(directory: string): Assets {
  const files = new Map<string, { body: Buffer; type: string; hash: string }>();
  const own = readdirSync(directory).map((name) => [name, join(directory, name)] as const);
  for (const [name, path] of [...own, ...Object.entries(PACKED)]) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = readFileSync(path);
    files.set(name, { body, type, hash: createHash("sha256").update(body).digest("base64url").slice(0, 16) });
  }

  return {
    url(name) {
      const file = files.get(name);
      if (file === undefined) throw new Error(`no asset "${name}" in ${directory}`);
      return `/assets/${name}?v=${file.hash}`;
    },

    async serve(ctx, next) {
      if (!ctx.path.startsWith("/assets/")) return next();
      const file = files.get(ctx.path.slice("/assets/".length));
      if (file === undefined) return next();
      if (ctx.method !== "GET" && ctx.method !== "HEAD") {
        ctx.status = 405;
        ctx.set("Allow", "GET, HEAD");
        return;
      }
      // During a deployment a page of the next version may ask this one: what it gets must not be kept under that hash.
      const named = ctx.query.v === file.hash;
      ctx.set("Cache-Control", named ? "public, max-age=31536000, immutable" : "no-cache");
      ctx.set("ETag", `"${file.hash}"`);
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
