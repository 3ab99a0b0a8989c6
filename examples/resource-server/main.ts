/** `node examples/resource-server/main.ts`: ISSUER, AUDIENCE and PORT from the environment. */
import { createResourceServer } from "./app.ts";

const { ISSUER = "http://localhost:3000", PORT = "3002", AUDIENCE = `http://localhost:${PORT}` } = process.env;

const server = createResourceServer({ issuer: ISSUER, audience: AUDIENCE }).listen(Number(PORT), "127.0.0.1", () => {
  console.log(`The example resource server listens on http://localhost:${PORT}, for tokens of ${ISSUER} with the audience ${AUDIENCE}`);
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    server.close();
    server.closeIdleConnections();
  });
}
