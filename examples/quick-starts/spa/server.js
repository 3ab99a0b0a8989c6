// Serves the files beside it: any server of static files does, as long as the redirect URI leads to index.html.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const { port, origin } = new URL("{{redirect_uri}}");
const SCRIPTS = ["/app.js", "/node_modules/oidc-client-ts/dist/esm/oidc-client-ts.js", "/node_modules/jwt-decode/build/esm/index.js"];

createServer(async (request, response) => {
  const { pathname } = new URL(request.url, origin);
  const isScript = SCRIPTS.includes(pathname);
  response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html; charset=utf-8");
  response.end(await readFile(new URL(isScript ? `.${pathname}` : "index.html", import.meta.url)));
}).listen(port, () => console.log(`Open ${origin}`));
