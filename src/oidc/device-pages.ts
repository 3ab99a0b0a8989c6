/** The engine's hooks for the page where a person types a device's code (RFC 8628 §3.3): its forms in our pages, its errors in words. */
import type { KoaContextWithOIDC } from "oidc-provider";
import { type Text, text } from "../i18n/messages.ts";
import { restoreBrowserAuthorization } from "./grants.ts";
import type { EngineForm, EnginePages } from "./ports.ts";

/** What the engine throws when the code that was typed cannot be used. */
const WORDS: Readonly<Record<string, Text>> = {
  NoCodeError: text("device:input.code_missing"),
  NotFoundError: text("device:input.code_unknown"),
  ExpiredError: text("device:input.code_expired"),
  InvalidRequest: text("device:input.page_stale"),
  AlreadyUsedError: text("device:input.code_used"),
};

const OTHER_WORDS = text("device:input.failed");

const typed = ({ oidc }: KoaContextWithOIDC): string | undefined => {
  const code = oidc.params?.user_code;
  return typeof code === "string" ? code : undefined;
};

/** The engine's forms carry a token of their own, kept in the session. */
export function engineForm(ctx: KoaContextWithOIDC, route: "code_verification" | "end_session_confirm"): EngineForm {
  const state = ctx.oidc.session?.state as { secret: string } | undefined;
  return { action: ctx.oidc.urlFor(route), xsrf: state?.secret ?? "" };
}

/** @param keepSession stores a session that is new, where the engine would only change a stored one, and sets its cookie */
export function deviceFlow(pages: EnginePages, keepSession: (ctx: KoaContextWithOIDC) => Promise<void>) {
  return {
    enabled: true,
    charset: "base-20" as const,
    mask: "****-****",
    async userCodeInputSource(ctx: KoaContextWithOIDC, _form: string, _out?: unknown, error?: Error & { userCode?: string }) {
      if (error?.name === "AbortedError") return pages.deviceDone(ctx, "denied");
      if (error?.name === "NotFoundError") ctx.state.wrongUserCode = true; // for whoever limits guessing
      if (typeof ctx.oidc.session?.exp !== "number") await keepSession(ctx); // the form's token must be kept for the next try
      const words = error === undefined ? undefined : (WORDS[error.name] ?? OTHER_WORDS);
      pages.deviceInput(ctx, { ...engineForm(ctx, "code_verification"), userCode: error && (error.userCode ?? typed(ctx)), error: words });
    },
    async userCodeConfirmSource(
      ctx: KoaContextWithOIDC,
      _form: string,
      client: NonNullable<KoaContextWithOIDC["oidc"]["client"]>,
      _info: unknown,
      userCode: string,
    ) {
      await pages.deviceConfirm(ctx, { ...engineForm(ctx, "code_verification"), userCode }, client);
    },
    async successSource(ctx: KoaContextWithOIDC) {
      restoreBrowserAuthorization(ctx);
      pages.deviceDone(ctx, "approved");
    },
  };
}
