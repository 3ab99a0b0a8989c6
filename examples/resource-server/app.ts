/**
 * An example of a resource server: an API with things that belong to people. It knows the issuer, its own identifier (the audience) and
 * nothing else: no client secret, no database of tokens, no call to the authorization server for a request. Tokens that were revoked open
 * nothing all the same: the verifier keeps the issuer's keys and status lists.
 */
import Router from "@koa/router";
import parseBody from "co-body";
import { createVerifier } from "grantor/resource-server";
import { accessTokenOf, requireAccess } from "grantor/resource-server/koa";
import Koa, { type Context } from "koa";

export interface ResourceServerOptions {
  /** Who issues the tokens, such as `http://localhost:3000`. */
  issuer: string;
  /** This server's identifier: the `resource` that clients ask for, and `aud` of its tokens. */
  audience: string;
}

interface Thing {
  id: number;
  name: string;
}

const LONGEST_NAME = 100;
const MOST_THINGS = 100;

export function createResourceServer({ issuer, audience }: ResourceServerOptions): Koa {
  const verifier = createVerifier({ issuer, audience, realm: "things" });
  const things = new Map<string, Thing[]>();
  const router = new Router();

  router.get("/", (ctx) => {
    ctx.body = {
      what: "An example of a resource server: it checks access tokens by itself",
      resource: audience,
      authorization_servers: [issuer],
      routes: {
        "GET /things": "your things; needs the scope things:read",
        "POST /things": 'adds one, by {"name": "…"}; needs the scope things:write',
        "GET /admin/report": "how many there are; needs the role admin",
      },
    };
  });

  router.get("/things", requireAccess(verifier, { scope: "things:read" }), (ctx) => {
    ctx.body = { things: things.get(accessTokenOf(ctx).sub) ?? [] };
  });

  router.post("/things", requireAccess(verifier, { scope: "things:write" }), async (ctx) => {
    const name = await readName(ctx);
    const { sub } = accessTokenOf(ctx);
    const mine = things.get(sub) ?? [];
    if (mine.length >= MOST_THINGS) ctx.throw(409, `nobody has more than ${MOST_THINGS} things here`);
    const thing = { id: (mine.at(-1)?.id ?? 0) + 1, name };
    things.set(sub, [...mine, thing]);
    ctx.status = 201;
    ctx.body = thing;
  });

  router.get("/admin/report", requireAccess(verifier, { roles: "admin" }), (ctx) => {
    ctx.body = { people: things.size, things: [...things.values()].flat().length };
  });

  const app = new Koa();
  app.use(answerInJson).use(router.routes()).use(router.allowedMethods());
  return app;
}

async function readName(ctx: Context): Promise<string> {
  const body: unknown = await parseBody
    .json(ctx.req, { limit: "4kb" })
    .catch((error: { status?: number }) => ctx.throw(error.status ?? 400));
  const name = (body as { name?: unknown }).name;
  if (typeof name !== "string" || name.trim() === "" || name.length > LONGEST_NAME)
    return ctx.throw(400, `name must be text of 1 to ${LONGEST_NAME} characters`);
  return name.trim();
}

/** Every answer is JSON, errors too; none is kept in a cache, since it is somebody's own. */
async function answerInJson(ctx: Context, next: () => Promise<void>): Promise<void> {
  ctx.set("Cache-Control", "no-store");
  ctx.set("X-Content-Type-Options", "nosniff");
  try {
    await next();
    if (ctx.status === 404 && ctx.body === undefined) ctx.throw(404, "there is nothing here");
  } catch (error) {
    const { status = 500, message, expose } = error as { status?: number; message: string; expose?: boolean };
    ctx.status = status;
    if (status >= 500) console.error(error);
    ctx.body = {
      error: status >= 500 ? "server_error" : "invalid_request",
      error_description: expose ? message : "something went wrong",
    };
  }
}
