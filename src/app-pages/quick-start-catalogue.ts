/** Which quick starts there are. Their files lie in `examples/quick-starts/<name>/`; their words are `quickstarts:programs.<name>`. */
import type { ClientType } from "../clients/client-metadata.ts";
import type { Resource } from "../clients/resource.ts";

export interface QuickStart {
  /** In its address, and of its directory. */
  readonly name: string;
  /** The kinds of applications that it fits; `api` is for what applications call. */
  readonly fits: readonly ClientType[] | "api";
  /** In the order in which they are read. */
  readonly files: readonly string[];
  /** Lines for a shell. */
  readonly install?: string;
  readonly run: string;
  /** Variables that hold what is not in the files: what a program proves itself with. */
  readonly secrets: readonly ("CLIENT_ID" | "CLIENT_SECRET")[];
  /** What its libraries cannot check a signature by, of the public algorithms that a resource may have. */
  readonly cannotCheck?: readonly Resource["signingAlg"][];
  /** Absent: it serves no address, and takes any redirect URI. */
  readonly callback?: Served | typeof LISTENER;
}

/** The program is a web server: pages begin and end there. */
interface Served {
  /** Where its redirect URI must lead; absent: any path but these, which it has other uses for. */
  readonly path?: string;
  readonly taken?: readonly string[];
}

/** It waits for the browser on the person's own machine, on another port at every start (RFC 8252 §7.3), and has no pages. */
export const LISTENER = "listener";

const OWN_PATHS = ["/", "/sign-in", "/sign-out", "/call-api"];
const ANY_PATH = { taken: OWN_PATHS } as const;
const CLIENT_SECRET = ["CLIENT_SECRET"] as const;
const NODE = { install: "npm install", run: "npm start" } as const;
const python = (file: string) => ({
  install: "python3 -m venv .venv\n.venv/bin/pip install -r requirements.txt",
  run: `.venv/bin/python ${file}`,
});
const GO = { install: "go mod tidy", run: "go run ." } as const;

export const QUICK_STARTS: readonly QuickStart[] = [
  { name: "node-express", fits: ["web"], files: ["app.js", "package.json"], ...NODE, secrets: CLIENT_SECRET, callback: ANY_PATH },
  { name: "node-koa", fits: ["web"], files: ["app.js", "package.json"], ...NODE, secrets: CLIENT_SECRET, callback: ANY_PATH },
  {
    name: "authjs",
    fits: ["web"],
    files: ["app.js", "package.json"],
    ...NODE,
    secrets: CLIENT_SECRET,
    callback: { path: "/auth/callback/grantor" },
  },
  {
    name: "python",
    fits: ["web"],
    files: ["app.py", "requirements.txt"],
    ...python("app.py"),
    secrets: CLIENT_SECRET,
    callback: ANY_PATH,
  },
  {
    name: "go",
    fits: ["web"],
    files: ["main.go", "go.mod"],
    ...GO,
    secrets: CLIENT_SECRET,
    callback: ANY_PATH,
  },
  {
    name: "java",
    fits: ["web"],
    files: ["QuickStart.java", "pom.xml"],
    run: "mvn spring-boot:run",
    secrets: CLIENT_SECRET,
    callback: { taken: [...OWN_PATHS, "/login", "/logout", "/error"] },
  },
  {
    name: "dotnet",
    fits: ["web"],
    files: ["Program.cs", "QuickStart.csproj"],
    run: "dotnet run",
    secrets: CLIENT_SECRET,
    callback: { taken: [...OWN_PATHS, "/signout-oidc", "/signout-callback-oidc"] },
  },
  {
    name: "spa",
    fits: ["spa"],
    files: ["app.js", "index.html", "server.js", "package.json"],
    ...NODE,
    secrets: [],
    callback: { taken: ["/", "/app.js"] },
  },
  { name: "node-native", fits: ["native"], files: ["app.js", "package.json"], ...NODE, secrets: [], callback: LISTENER },
  { name: "python-native", fits: ["native"], files: ["app.py", "requirements.txt"], ...python("app.py"), secrets: [], callback: LISTENER },
  { name: "go-native", fits: ["native"], files: ["main.go", "go.mod"], ...GO, secrets: [], callback: LISTENER },
  { name: "node-service", fits: ["service"], files: ["app.js", "package.json"], ...NODE, secrets: CLIENT_SECRET },
  { name: "python-service", fits: ["service"], files: ["app.py", "requirements.txt"], ...python("app.py"), secrets: CLIENT_SECRET },
  { name: "node-device", fits: ["device"], files: ["app.js", "package.json"], ...NODE, secrets: [] },
  { name: "curl-sign-in", fits: ["web", "spa", "native"], files: ["sign-in.sh"], run: "bash sign-in.sh", secrets: CLIENT_SECRET },
  { name: "curl-service", fits: ["service"], files: ["service.sh"], run: "bash service.sh", secrets: CLIENT_SECRET },
  { name: "curl-device", fits: ["device"], files: ["device.sh"], run: "bash device.sh", secrets: [] },
  { name: "api-node-express", fits: "api", files: ["api.js", "package.json"], ...NODE, secrets: [] },
  { name: "api-node-koa", fits: "api", files: ["api.js", "package.json"], ...NODE, secrets: [] },
  {
    name: "api-python",
    fits: "api",
    files: ["api.py", "requirements.txt"],
    ...python("api.py"),
    secrets: [],
  },
  { name: "api-go", fits: "api", files: ["main.go", "go.mod"], ...GO, secrets: [] },
  { name: "api-java", fits: "api", files: ["Api.java", "pom.xml"], run: "mvn spring-boot:run", secrets: [], cannotCheck: ["EdDSA"] },
  { name: "api-dotnet", fits: "api", files: ["Program.cs", "Api.csproj"], run: "dotnet run", secrets: [], cannotCheck: ["EdDSA"] },
  { name: "api-curl", fits: "api", files: ["introspect.sh"], run: "bash introspect.sh", secrets: ["CLIENT_ID", "CLIENT_SECRET"] },
];
