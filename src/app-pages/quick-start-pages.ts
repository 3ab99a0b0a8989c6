/** `/apps/:client_id/quick-starts`: programs that sign people in to this very application, and APIs that take its tokens. */
import type Router from "@koa/router";
import { clientType } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import type { ResourceStore } from "../clients/resource-store.ts";
import { HttpProblem } from "../http/errors.ts";
import { text } from "../i18n/messages.ts";
import { appPath, type Frame } from "./frame.ts";
import { LISTENER, QUICK_STARTS, type QuickStart } from "./quick-start-catalogue.ts";
import { fillIn, loadQuickStartFiles } from "./quick-start-files.ts";
import { type Missing, secretsOf, valuesFor } from "./quick-start-values.ts";

export interface QuickStartPagesOptions {
  issuer: string;
  resources: Pick<ResourceStore, "all">;
}

export function addQuickStartPages(router: Router, frame: Frame, { issuer, resources }: QuickStartPagesOptions): void {
  const template = loadQuickStartFiles(QUICK_STARTS);
  const filledIn = (quickStart: QuickStart, client: ClientRecord) => valuesFor(quickStart, client, issuer, resources.all());

  router.get("/apps/:client_id/quick-starts", async (ctx) => {
    const visit = await frame.visit(ctx, "quick_starts");
    if (visit === undefined) return;
    const here = appPath(visit.client.clientId, "quick_starts");
    const linked = (isApi: boolean) =>
      QUICK_STARTS.filter((each) => fits(each, visit.client) && (each.fits === "api") === isApi).map(({ name }) => ({
        path: `${here}/${name}`,
        label: text(`quickstarts:programs.${name}`),
      }));
    frame.render(ctx, "apps/quick-starts", { ...frame.appPage(ctx, "quick_starts", visit), programs: linked(false), apis: linked(true) });
  });

  router.get("/apps/:client_id/quick-starts/:name", async (ctx) => {
    const quickStart = named(String(ctx.params.name));
    const visit = await frame.visit(ctx, "quick_starts", `/${quickStart.name}`);
    if (visit === undefined) return;
    const { client } = visit;
    if (!fits(quickStart, client)) throw noSuchQuickStart();
    const here = appPath(client.clientId, "quick_starts");
    const { values, missing } = filledIn(quickStart, client);
    frame.render(ctx, "apps/quick-start", {
      ...frame.appPage(ctx, "quick_starts", visit),
      heading: text("quickstarts:heading", { program: text(`quickstarts:programs.${quickStart.name}`) }),
      about: text(quickStart.fits === "api" ? "quickstarts:about.api" : "quickstarts:about.application"),
      missing: missing.map((each) => ({ words: text(`quickstarts:missing.${each.name}`, { ...each }), command: commandFor(each) })),
      addresses: missing.some(({ name }) => name.endsWith("_uri")) ? appPath(client.clientId, "addresses") : undefined,
      files: quickStart.files.map((file) => ({
        name: file,
        content: fillIn(file, template(quickStart, file), values),
        download: `${here}/${quickStart.name}/files/${file}`,
      })),
      secrets: secretsOf(quickStart, client.metadata).map((name) => `export ${name}='…'`),
      isApi: quickStart.fits === "api",
      install: quickStart.install,
      run: quickStart.run,
      open: quickStart.callback && quickStart.callback !== LISTENER ? new URL(values.redirect_uri).origin : undefined,
      listens: quickStart.fits === "api" && quickStart.name !== "api-curl" ? values.api_url : undefined,
      back: here,
    });
  });

  router.get("/apps/:client_id/quick-starts/:name/files/:file", async (ctx) => {
    const quickStart = named(String(ctx.params.name));
    const visit = await frame.visit(ctx, "quick_starts", `/${quickStart.name}`);
    if (visit === undefined) return;
    const file = quickStart.files.find((each) => each === ctx.params.file);
    if (file === undefined || !fits(quickStart, visit.client)) throw noSuchQuickStart();
    ctx.attachment(file);
    ctx.type = "text/plain; charset=utf-8";
    ctx.body = fillIn(file, template(quickStart, file), filledIn(quickStart, visit.client).values);
  });
}

const fits = (quickStart: QuickStart, { metadata }: ClientRecord): boolean =>
  quickStart.fits === "api" || quickStart.fits.includes(clientType(metadata));

function named(name: string): QuickStart {
  const found = QUICK_STARTS.find((each) => each.name === name);
  if (found === undefined) throw noSuchQuickStart();
  return found;
}

const noSuchQuickStart = (): HttpProblem => new HttpProblem(404, "not_found", text("quickstarts:none"));

/** What an operator types, where that is what is missing. */
function commandFor(missing: Missing): string | undefined {
  if (missing.name !== "resource") return undefined;
  return `npm run -s grantor -- resource create --audience ${missing.audience} --scope "${missing.scope}=See an example"`;
}
