/** `/apps` and what is below it, joined. */
import Router from "@koa/router";
import type { Middleware } from "koa";
import { ClientError } from "../clients/client-error.ts";
import { createFrame, type FrameOptions, noSuchApp } from "./frame.ts";
import { addListPages } from "./list-pages.ts";

export interface AppPagesOptions {
  frame: FrameOptions;
}

export function appPages(options: AppPagesOptions): Router {
  const frame = createFrame(options.frame);
  const router = new Router();
  router.use(notFoundPages);

  addListPages(router, frame);
  return router;
}

const notFoundPages: Middleware = async (_ctx, next) => {
  try {
    await next();
  } catch (error) {
    if (error instanceof ClientError && error.code === "not_found") throw noSuchApp();
    throw error;
  }
};
