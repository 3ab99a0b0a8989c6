/** A way to a store that a test can close: connections break and new ones are refused, or they hang. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./ports.ts";

export interface Gate {
  readonly port: number;
  /** As when the store's process is gone. */
  close(): Promise<void>;
  /** As when its machine is: nothing is answered and nothing refused. */
  hang(): void;
  open(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param to where the store listens: a Unix socket's path or a port on 127.0.0.1 */
export async function startGate(to: string | number): Promise<Gate> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let hangs = false;
  let server: Server | undefined;

  const listen = () =>
    new Promise<void>((resolve) => {
      server = createServer((near) => {
        sockets.add(near);
        near.on("error", () => {}).on("close", () => sockets.delete(near));
        if (hangs) return;
        const far = typeof to === "string" ? connect(to) : connect(to, "127.0.0.1");
        sockets.add(far);
        far.on("error", () => near.destroy()).on("close", () => sockets.delete(far));
        near.pipe(far).pipe(near);
      }).listen(port, "127.0.0.1", resolve);
    });
  const drop = () => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async () => {
    const closing = server;
    server = undefined;
    if (closing === undefined) return;
    const closed = new Promise((resolve) => closing.close(resolve));
    drop();
    await closed;
  };

  await listen();
  return {
    port,
    close,
    hang() {
      hangs = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    async open() {
      hangs = false;
      drop(); // what hung is not taken up again
      if (server === undefined) await listen();
    },
    [Symbol.asyncDispose]: close,
  };
}

/** The address of a database behind a gate, from the one of a server on a Unix socket. */
export async function gateToPostgres(url: string): Promise<{ gate: Gate; url: string }> {
  const direct = new URL(url);
  const host = direct.searchParams.get("host") ?? direct.hostname;
  const port = direct.port || "5432";
  const gate = await startGate(host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : Number(port));
  direct.searchParams.delete("host");
  direct.hostname = "127.0.0.1";
  direct.port = String(gate.port);
  return { gate, url: direct.href };
}
