/** Requests byte by byte, for what no HTTP client would send. */
import { connect } from "node:net";

export interface RawAnswer {
  /** 0: the connection was closed without an answer. */
  status: number;
  headers: string;
  body: string;
}

/** Milliseconds in which every answer must be there. */
const PATIENCE = 10_000;

/** @param bytes the whole request; `Connection: close` is the sender's own affair */
export function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const chunks: Buffer[] = [];
    const finish = () => {
      const text = Buffer.concat(chunks).toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const headers = end === -1 ? text : text.slice(0, end);
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(headers)?.[1] ?? 0), headers, body: end === -1 ? "" : text.slice(end + 4) });
    };
    socket.setTimeout(PATIENCE, () => {
      socket.destroy();
      reject(new Error(`no answer to ${String(bytes).slice(0, 200)}`));
    });
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("close", finish);
    socket.on("error", () => {}); // the server may close while we still send; close follows
    socket.write(bytes);
  });
}

/** A request line and headers, with the connection closed after the answer. */
export const rawRequest = (method: string, target: string, headers: Record<string, string> = {}, body = ""): string =>
  `${method} ${target} HTTP/1.1\r\n${Object.entries({ Host: "localhost", Connection: "close", ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n${body}`;
