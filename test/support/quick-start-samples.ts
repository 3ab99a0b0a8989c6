/** The pages of the quick starts in the states that they can be in. */
import { readFileSync } from "node:fs";
import type { QuickStartView } from "../../src/http/app-page-models.ts";
import { text } from "../../src/i18n/messages.ts";
import { appPage, appPath } from "./app-page-samples.ts";
import type { Sample } from "./page-sample.ts";

const here = `${appPath}/quick-starts`;
const source = (file: string): string => readFileSync(new URL(`../../examples/quick-starts/${file}`, import.meta.url), "utf8");
const links = (...names: string[]) => names.map((name) => ({ path: `${here}/${name}`, label: text(`quickstarts:programs.${name}`) }));

const program: QuickStartView = {
  heading: text("quickstarts:heading", { program: text("quickstarts:programs.node-express") }),
  about: text("quickstarts:about.application"),
  missing: [],
  files: ["app.js", "package.json"].map((name) => ({
    name,
    content: source(`node-express/${name}`),
    download: `${here}/node-express/files/${name}`,
  })),
  secrets: ["export CLIENT_SECRET='…'"],
  isApi: false,
  install: "npm install",
  run: "npm start",
  open: "http://localhost:4000",
  back: here,
};

export const quickStartSamples: Record<string, Sample> = {
  "app-quick-starts": {
    view: "apps/quick-starts",
    model: { ...appPage, programs: links("node-express", "python", "curl-sign-in"), apis: links("api-node-express", "api-curl") },
  },
  "app-quick-start": { view: "apps/quick-start", model: { ...appPage, ...program } },
  "app-quick-start-missing": {
    view: "apps/quick-start",
    model: {
      ...appPage,
      ...program,
      missing: [
        { words: text("quickstarts:missing.redirect_uri", { value: "http://localhost:4000/auth/callback/grantor" }) },
        { words: text("quickstarts:missing.scope", { value: "openid" }) },
      ],
      addresses: `${appPath}/addresses`,
    },
  },
  "app-quick-start-api": {
    view: "apps/quick-start",
    model: {
      ...appPage,
      ...program,
      heading: text("quickstarts:heading", { program: text("quickstarts:programs.api-curl") }),
      about: text("quickstarts:about.api"),
      missing: [
        {
          words: text("quickstarts:missing.resource", { audience: "http://localhost:4100", scope: "example:read" }),
          command: 'npm run -s grantor -- resource create --audience http://localhost:4100 --scope "example:read=See an example"',
        },
      ],
      files: [{ name: "introspect.sh", content: source("api-curl/introspect.sh"), download: `${here}/api-curl/files/introspect.sh` }],
      secrets: ["export CLIENT_ID='…'", "export CLIENT_SECRET='…'"],
      isApi: true,
      install: undefined,
      run: "bash introspect.sh",
      open: undefined,
    },
  },
  "app-quick-start-api-listens": {
    view: "apps/quick-start",
    model: {
      ...appPage,
      ...program,
      about: text("quickstarts:about.api"),
      isApi: true,
      secrets: [],
      open: undefined,
      listens: "http://localhost:4100/",
    },
  },
};
