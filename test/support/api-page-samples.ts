/** The description of the management API, as it is: every operation that there is. */
import { describeApi } from "../../src/api/description.ts";
import { descriptionModel } from "../../src/api/description-pages.ts";
import { managementEndpoints } from "../../src/api/management-api.ts";
import type { Sample } from "./page-sample.ts";

const ISSUER = "https://id.example";
/** Endpoints ask nothing of them before they are called. */
const nothing = new Proxy({}, { get: () => ({}) }) as Parameters<typeof managementEndpoints>[0];

export const apiDescription = () => describeApi(ISSUER, managementEndpoints(nothing, ISSUER));

export const apiSamples: Record<string, Sample> = {
  api: { view: "api/description", model: descriptionModel(apiDescription(), "/api/openapi.json") },
  "api-problem": {
    view: "api/problem",
    model: {
      heading: "Say which version this is about",
      status: 428,
      about: [
        { text: "Send ", isCode: false },
        { text: "If-Match", isCode: true },
        { text: " with the version that you have seen.", isCode: false },
      ],
      description: "/api",
    },
  },
};
