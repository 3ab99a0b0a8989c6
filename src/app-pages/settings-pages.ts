/** The pages on which an owner changes what an application says of itself. All of them work in the same way: what differs is in SETTINGS. */
import type Router from "@koa/router";
import type { Context } from "koa";
import { showsPrivateKey } from "../clients/client-jwks.ts";
import { type ClientMetadata, clientType } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import { OPENID_SCOPES, splitScope } from "../clients/scopes.ts";
import type { AppForm, AppPageModels } from "../http/app-page-models.ts";
import type { FormErrors } from "../http/page-parts.ts";
import type { PageModels } from "../http/pages.ts";
import { text } from "../i18n/messages.ts";
import type { OwnersChange } from "../operations/app-operations.ts";
import { checkedLists, linesOf, PRIVATE_KEY, showBesideFields, URI_LISTS } from "./fault-words.ts";
import { type AppSection, type AppVisit, appPath, type Frame, hasPeople, seeOther } from "./frame.ts";
import { lifetimeChoices, type ServerLifetimes } from "./lifetime-choices.ts";
import { chosenScope, scopeChoices } from "./scope-choice.ts";

type Form = Readonly<Record<string, string>>;

/** One page. `V` is its view, `apps/<section>`. */
interface Settings<V extends keyof AppPageModels> {
  readonly fields: readonly string[];
  /** What protects the application: who changes it has signed in lately. */
  readonly sensitive: boolean;
  /** What is in the fields. */
  typed(metadata: ClientMetadata): Form;
  /** What the form says, as members of the application's metadata. `null` removes. */
  change(form: Form, client: ClientRecord): OwnersChange;
  /** What the view needs beside them. */
  more(visit: AppVisit, typed: Form): Promise<Omit<AppPageModels[V], keyof AppForm>>;
}

const KEY_FIELDS = ["jwks", "jwks_uri"] as const;
const METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"] as const;

export function addSettingsPages(router: Router, frame: Frame, server: ServerLifetimes): void {
  add("addresses", "apps/addresses", {
    fields: [...URI_LISTS, "backchannel_logout_uri"],
    sensitive: true,
    typed: ({ redirect_uris, post_logout_redirect_uris = [], backchannel_logout_uri = "" }) => ({
      redirect_uris: redirect_uris.join("\n"),
      post_logout_redirect_uris: post_logout_redirect_uris.join("\n"),
      backchannel_logout_uri,
    }),
    change: (form) => ({
      redirect_uris: linesOf(form.redirect_uris),
      post_logout_redirect_uris: saidLines(form.post_logout_redirect_uris),
      backchannel_logout_uri: said(form.backchannel_logout_uri),
    }),
    async more({ client }, typed) {
      const uriKind = client.metadata.application_type === "native" ? ("redirect_native" as const) : ("redirect_web" as const);
      return { uriKind, lines: checkedLists(typed, uriKind) };
    },
  });

  add("look", "apps/look", {
    fields: ["client_name", "client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts"],
    sensitive: false,
    typed: ({ client_name = "", client_uri = "", logo_uri = "", policy_uri = "", tos_uri = "", contacts = [] }) => ({
      ...{ client_name, client_uri, logo_uri, policy_uri, tos_uri },
      contacts: contacts.join("\n"),
    }),
    change: (form, client) => ({
      client_name: form.client_name?.trim() ?? "",
      contacts: saidLines(form.contacts),
      ...(hasPeople(client) && {
        client_uri: said(form.client_uri),
        logo_uri: said(form.logo_uri),
        policy_uri: said(form.policy_uri),
        tos_uri: said(form.tos_uri),
      }),
    }),
    more: async ({ client }) => ({ asksPeople: hasPeople(client) }),
  });

  add("scopes", "apps/scopes", {
    fields: ["scope"],
    sensitive: false,
    typed: ({ scope, grant_types }) => ({ scope: scope ?? (grant_types.includes("client_credentials") ? "" : OPENID_SCOPES.join(" ")) }),
    change: (form) => ({ scope: chosenScope(form) }),
    async more({ session, client }, { scope = "" }) {
      const offered = frame.apps.offeredScopes(session.account, clientType(client.metadata));
      return { choices: await scopeChoices(offered, splitScope(scope)), asksPeople: hasPeople(client) };
    },
  });

  add("keys", "apps/keys", {
    fields: ["token_endpoint_auth_method", "jwks", "jwks_uri"],
    sensitive: true,
    typed: ({ token_endpoint_auth_method, jwks, jwks_uri = "" }) => ({
      token_endpoint_auth_method,
      jwks: jwks === undefined ? "" : JSON.stringify(jwks, null, 2),
      jwks_uri,
    }),
    change: (form) => ({
      token_endpoint_auth_method: said(form.token_endpoint_auth_method) ?? undefined,
      jwks: parsed(form.jwks),
      jwks_uri: said(form.jwks_uri),
    }),
    more: async () => ({ methods: METHODS.map((value) => ({ value, label: text(`apps:keys.methods.${value}`) })) }),
  });

  add("lifetimes", "apps/lifetimes", {
    fields: ["access_token_max_ttl", "refresh_token_max_ttl"],
    sensitive: false,
    typed: ({ access_token_max_ttl = "", refresh_token_max_ttl = "" }) => ({
      access_token_max_ttl: String(access_token_max_ttl),
      refresh_token_max_ttl: String(refresh_token_max_ttl),
    }),
    change: (form, { metadata }) => ({
      access_token_max_ttl: seconds(form.access_token_max_ttl),
      ...(metadata.grant_types.includes("refresh_token") && { refresh_token_max_ttl: seconds(form.refresh_token_max_ttl) }),
    }),
    more: async ({ client }) => lifetimeChoices(server, client),
  });

  add("protection", "apps/protection", {
    fields: ["require_pushed_authorization_requests", "dpop_bound_access_tokens"],
    sensitive: true,
    typed: ({ require_pushed_authorization_requests: pushed, dpop_bound_access_tokens: bound }) => ({
      require_pushed_authorization_requests: pushed ? "yes" : "",
      dpop_bound_access_tokens: bound ? "yes" : "",
    }),
    change: (form, client) => ({
      ...(hasPages(client) && { require_pushed_authorization_requests: ticked(form.require_pushed_authorization_requests) }),
      dpop_bound_access_tokens: ticked(form.dpop_bound_access_tokens),
    }),
    more: async ({ client }) => ({ pushed: hasPages(client) }),
  });

  function add<V extends keyof AppPageModels>(section: AppSection, view: V, settings: Settings<V>): void {
    const path = `/apps/:client_id/${section}`;
    const visitFor = (ctx: Context) => (settings.sensitive ? frame.recently(ctx, section) : frame.visit(ctx, section));

    router.get(path, async (ctx) => {
      const visit = await visitFor(ctx);
      if (visit !== undefined) await show(ctx, visit, settings.typed(visit.client.metadata));
    });

    router.post(path, frame.verifyForm, async (ctx) => {
      const visit = await visitFor(ctx);
      if (visit === undefined) return;
      const { session, client } = visit;
      const form: Form = ctx.state.form ?? {};
      try {
        const change = settings.change(form, client);
        const { secret, unverified } = await frame.apps.update(frame.developer(ctx, session), client.clientId, change);
        if (secret !== undefined) {
          frame.shownOnce.keep(ctx, session.account.id, client.clientId, secret);
          return seeOther(ctx, `${appPath(client.clientId, "overview")}/created`);
        }
        frame.done(ctx, section, client.clientId, unverified ? "saved_unverified" : "saved");
      } catch (error) {
        const { fields: found, ...others } = showBesideFields(ctx, error, settings.fields);
        // A private key is not repeated, in whatever shape and field it came.
        const given = KEY_FIELDS.filter((field) => found?.[field] === PRIVATE_KEY || showsPrivateKey(form[field] ?? ""));
        const instead = <T>(of: T): Record<string, T> => Object.fromEntries(given.map((field) => [field, of]));
        const typed = { ...form, jwks: form.jwks ?? "", scope: chosenScope(form), ...instead("") };
        await show(ctx, visit, typed, { ...others, fields: { ...found, ...instead(PRIVATE_KEY) } });
      }
    });

    async function show(ctx: Context, visit: AppVisit, typed: Form, errors?: FormErrors): Promise<void> {
      const shared: AppForm = {
        ...frame.appPage(ctx, section, visit),
        action: appPath(visit.client.clientId, section),
        typed,
        errors,
      };
      frame.render(ctx, view, { ...shared, ...(await settings.more(visit, typed)) } as unknown as PageModels[V]);
    }
  }
}

/** People are led through it by their browser. */
const hasPages = ({ metadata }: ClientRecord): boolean => metadata.response_types.includes("code");

const said = (value: string | undefined): string | null => value?.trim() || null;

const saidLines = (value: string | undefined): string[] | null => {
  const lines = linesOf(value);
  return lines.length === 0 ? null : lines;
};

const ticked = (value: string | undefined): true | null => (value === "yes" ? true : null);

const seconds = (value: string | undefined): number | null => (value === undefined || value === "" ? null : Number(value));

/** What is no JSON is refused by the rule for what it should have been. */
function parsed(value: string | undefined): unknown {
  const json = said(value);
  if (json === null) return null;
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
