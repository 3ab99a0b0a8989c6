/**
 * Which room may import which, written down once. Rooms import downward only; app.ts and app/ alone join them.
 * A room that is not listed may import nothing of ours: add it here when it is made.
 */
const settings = ["config", "secrets", "settings", "redis-url"];

/** Room or top-level file of src/ → the others that it may import. Everyone may import the configuration; nobody else reads the environment. */
const mayImport = {
  // Without a domain: they know requests, stores and logs, not people, clients or tokens.
  observability: [],
  storage: ["observability"],
  i18n: [],
  http: ["observability", "i18n"],
  mail: ["observability", "i18n"],
  // The domain.
  keys: ["storage", "observability"],
  clients: ["storage", "observability", "http"],
  accounts: ["storage", "observability", "http", "i18n", "mail"],
  factors: ["storage", "observability", "http", "i18n", "accounts"],
  federation: ["storage", "observability", "http", "i18n", "accounts"],
  tokens: ["storage", "observability", "keys", "clients", "accounts"],
  // The engine and what surrounds it. Stores and pages are handed to oidc.
  oidc: ["observability", "i18n", "http/document", "http/cors", "keys", "clients", "accounts", "factors/assurance", "tokens"],
  interactions: ["observability", "http", "i18n", "clients", "accounts", "factors", "federation", "oidc"],
  "account-pages": ["observability", "http", "i18n", "clients", "accounts", "factors", "federation", "interactions"],
  // What an order means, whoever gives it; and its three faces: pages, API, command line.
  operations: ["observability", "storage", "http", "i18n", "keys", "clients", "accounts", "factors", "federation", "tokens"],
  transfer: ["observability", "storage", "i18n", "clients", "accounts", "factors", "federation"],
  "app-pages": ["observability", "http", "i18n", "clients", "accounts", "interactions", "operations"],
  api: ["observability", "http", "i18n", "keys", "clients", "accounts", "federation", "operations", "resource-server"],
  admin: [
    "observability",
    "storage",
    "http",
    "i18n",
    "keys",
    "clients",
    "accounts",
    "factors",
    "federation",
    "tokens",
    "operations",
    "transfer",
  ],
  // For others, packed on its own.
  "resource-server": [],
  // From the program to the composition root, whose part below HTTP the command line shares.
  main: ["run-server", "admin"],
  "run-server": ["cluster", "server", "observability"],
  cluster: ["server", "ops-server", "storage", "observability"],
  server: ["app", "open-services", "ops-server", "observability"],
  "ops-server": ["observability"],
  "open-services": ["observability", "i18n", "storage", "keys", "clients", "accounts", "factors", "federation", "tokens"],
};

/** The files that see a Koa context. Everything else of a domain room is logic, which does not. */
const routeFiles = [
  "^src/(http|interactions|account-pages|app-pages|api)/",
  "^src/(accounts|factors|federation|clients|keys)/.*(routes|pages|middleware)[.]ts$",
  "^src/observability/health[.]ts$",
];
const packageOf = (names) => `(^|/)node_modules/(${names.join("|")})/`;

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "not-resolvable",
      comment: "the import finds nothing: a typing error, or a package that is not in package.json",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "undeclared-package",
      comment: "what the server imports is a dependency in package.json, not one of the development's or of another package's",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "engine-internals",
      comment: "oidc-provider/lib moves between patches: public hooks alone (docs/decisions)",
      severity: "error",
      from: {},
      to: { path: "(^|/)node_modules/oidc-provider/lib/(?!index[.]js$)" },
    },
    {
      name: "server-imports-no-tests",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|bench|examples|tools)/" },
    },
    {
      name: "examples-stand-alone",
      comment:
        "an example shows what somebody else would write: of ours it has resource-server/ alone; the demo, which starts the server, is no example",
      severity: "error",
      from: { path: "^examples/(?!demo)" },
      to: { path: "^(src/(?!resource-server/)|test/|bench/|tools/)" },
    },
    {
      name: "logic-sees-no-koa",
      comment: "account, client and key logic never sees a Koa context; that is what route files are for",
      severity: "error",
      from: {
        path: "^src/(accounts|factors|federation|mail|i18n|clients|keys|operations|transfer|admin|storage|observability)/",
        pathNot: routeFiles,
      },
      to: { path: [packageOf(["koa", "@koa/router", "@types/koa", "@types/koa__router"]), "^src/http/"] },
    },
    {
      name: "routes-see-no-store",
      comment: "a route file asks the logic of its room; it never sees Prisma, PostgreSQL or Redis",
      severity: "error",
      from: { path: routeFiles },
      to: { path: ["^src/storage/", packageOf(["@prisma", "prisma", "pg", "ioredis"])] },
    },
    {
      name: "resource-server-alone",
      comment: "what a resource server installs depends on jose alone",
      severity: "error",
      from: { path: "^src/resource-server/" },
      to: { path: "(^|/)node_modules/", pathNot: packageOf(["jose"]) },
    },
    {
      name: "configuration-knows-nobody",
      severity: "error",
      from: { path: `^src/(${settings.join("|")})[.]ts$` },
      to: { path: "^src/", pathNot: `^src/(${settings.join("|")})[.]ts$` },
    },
    {
      name: "unknown-room",
      comment: "list it in mayImport",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(app|${[...settings, ...Object.keys(mayImport)].join("|")})(/|[.]ts$)` },
      to: { path: "^src/" },
    },
    ...Object.entries(mayImport).map(([room, others]) => ({
      name: `${room}-imports-downward`,
      comment: `${room} may import ${[...others, "the configuration"].join(", ")}`,
      severity: "error",
      from: { path: `^src/${room}(/|[.]ts$)` },
      to: { path: "^src/", pathNot: `^src/(${[room, ...settings, ...others].join("|")})(/|[.]ts$)` },
    })),
  ],
  options: {
    doNotFollow: { path: ["node_modules", "^src/storage/generated/"] },
    // TypeScript 6 stands beside 7 for this alone: 7 has no compiler API yet.
    parser: "tsc",
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    moduleSystems: ["es6"],
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".d.ts"],
    },
  },
};
