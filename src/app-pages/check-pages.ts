/** `/apps/check-uris`: the answers of the server's own rules while somebody types; what is saved is checked by the same ones. */
import type Router from "@koa/router";
import { languageOf } from "../http/language.ts";
import { say } from "../i18n/messages.ts";
import { checkUris } from "./fault-words.ts";
import type { Frame } from "./frame.ts";

const KINDS = ["redirect_web", "redirect_native", "web"] as const;

export function addCheckPages(router: Router, frame: Frame): void {
  router.post("/apps/check-uris", frame.verifyForm, async (ctx) => {
    if ((await frame.signedIn(ctx, "/apps")) === undefined) return;
    const { kind, uris = "" } = ctx.state.form ?? {};
    const language = languageOf(ctx);
    ctx.body = checkUris(uris, KINDS.find((each) => each === kind) ?? "web").map(({ uri, fault, note }) => ({
      uri,
      ...(fault !== undefined && { fault: say(language, fault) }),
      ...(note !== undefined && { note: say(language, note) }),
    }));
  });
}
