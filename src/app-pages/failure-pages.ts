/** `/apps/:client_id/failures`: what an application was refused in the last day, and what helps. */
import type Router from "@koa/router";
import type { ClientFailures } from "../clients/client-failures.ts";
import { text } from "../i18n/messages.ts";
import { explainFailure } from "./failure-words.ts";
import { appPath, type Frame } from "./frame.ts";

export interface FailurePagesOptions {
  failures: Pick<ClientFailures, "recent">;
}

export function addFailurePages(router: Router, frame: Frame, { failures }: FailurePagesOptions): void {
  router.get("/apps/:client_id/failures", async (ctx) => {
    const visit = await frame.visit(ctx, "failures");
    if (visit === undefined) return;
    const { client } = visit;
    const recent = await failures.recent(client.clientId);
    frame.render(ctx, "apps/failures", {
      ...frame.appPage(ctx, "failures", visit),
      failures: recent.map((failure) => {
        const { reason: _reason, said, ...sent } = failure.detail;
        return {
          ...explainFailure(failure, client),
          where: text(`remedies:endpoints.${failure.endpoint}`),
          count: failure.count,
          last: failure.last,
          answer: said === undefined ? failure.error : `${failure.error}: ${said}`,
          sent: Object.entries(sent).map(([name, value]) => ({ name, value })),
        };
      }),
      tryIt: appPath(client.clientId, "try"),
    });
  });
}
