/** `/apps/inspector`: says what is in a token. The page's script does all of it in the browser; this server never gets the token. */
import Router from "@koa/router";
import type { Render } from "../http/pages.ts";

export interface InspectorPagesOptions {
  render: Render;
  /** All signing keys and their states, revoked ones too, which the JWKS does not have. */
  keys(): Promise<readonly { kid: string; alg: string; state: string }[]>;
  /** Path of the JWKS. */
  jwks: string;
}

export function inspectorPages({ render, keys, jwks }: InspectorPagesOptions): Router {
  const router = new Router();
  router.get("/apps/inspector", async (ctx) => {
    render(ctx, "inspector", { jwks, keys: (await keys()).map(({ kid, alg, state }) => ({ kid, alg, state })) });
  });
  return router;
}
