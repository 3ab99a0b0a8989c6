/** `node examples/relying-party/main.ts`: its registration from the environment. How to register it: docs/clients.md. */
import { createRelyingParty } from "./app.ts";

const {
  ISSUER = "http://localhost:3000",
  PORT = "3001",
  BASE_URL: url = `http://localhost:${PORT}`,
  API = "http://localhost:3002",
  CLIENT_ID,
  CLIENT_SECRET,
} = process.env;

if (!CLIENT_ID || !CLIENT_SECRET) {
  console.error("Set CLIENT_ID and CLIENT_SECRET: register the application first (docs/clients.md), or run everything by: npm run demo");
  process.exitCode = 1;
} else {
  const app = createRelyingParty({ url, issuer: ISSUER, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, api: API });
  const server = app.listen(Number(PORT), "127.0.0.1", () => console.log(`The example application listens on ${url}`));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      server.close();
      server.closeIdleConnections();
    });
  }
}
