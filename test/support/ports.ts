/** Ports for servers that must know their own before they listen. */
import { once } from "node:events";
import { createServer } from "node:net";

/** Below the range from which systems take the ports of outgoing connections, one of which could otherwise slip in between. */
const FIRST = 10_000;
const LAST = 32_000;

/** Each process starts somewhere else, so that several test runs on one machine do not meet. */
let next = FIRST + Math.floor(Math.random() * (LAST - FIRST));

/** A port on which nothing listens, on loopback or elsewhere; the same one is not given twice for a long time. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = next;
    next = next === LAST ? FIRST : next + 1;
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, exclusive: true });
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
