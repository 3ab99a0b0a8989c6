/** What hears of back-channel logout (OpenID Connect Back-Channel Logout §2.5). */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { noteSecret } from "./secrets-watch.ts";

/** A relying party's endpoint that keeps what it was told. */
export interface LogoutListener {
  readonly port: number;
  readonly received: { path: string; type: string; token: string }[];
  /** Milliseconds before it answers; `undefined`: never. */
  delay: number | undefined;
  status: number;
  close(): void;
}

export async function listenForLogout(): Promise<LogoutListener> {
  const received: LogoutListener["received"] = [];
  const server: Server = createServer(async (request, response) => {
    const body = new URLSearchParams(await text(request));
    const token = body.get("logout_token") ?? "";
    noteSecret(token);
    received.push({ path: request.url ?? "", type: request.headers["content-type"] ?? "", token });
    if (listener.delay === undefined) return;
    setTimeout(
      () => response.writeHead(listener.status, { Location: `http://localhost:${listener.port}/redirected` }).end(),
      listener.delay,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const listener: LogoutListener = {
    port: (server.address() as AddressInfo).port,
    received,
    delay: 0,
    status: 200,
    close: () => server.close().closeAllConnections(),
  };
  return listener;
}
