/** A request that this server makes to itself, without a network: the same handler answers it, by the same steps as everybody's. */
import { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

export interface InProcessRequest {
  readonly method: "GET" | "POST";
  /** With its query. */
  readonly path: string;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The network address of whoever caused it. */
  readonly address: string;
}

export interface InProcessAnswer {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** @param onRequest told of the request as the handler will see it, before it does */
export function askInProcess(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  { method, path, headers, body = "", address }: InProcessRequest,
  onRequest?: (request: IncomingMessage) => void,
): Promise<InProcessAnswer> {
  return new Promise((resolve, reject) => {
    const sent: Buffer[] = [];
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        sent.push(chunk);
        done();
      },
    });
    Object.assign(socket, { remoteAddress: address });
    const request = new IncomingMessage(socket as Socket);
    Object.assign(request, { method, url: path, httpVersion: "1.1", httpVersionMajor: 1, httpVersionMinor: 1 });
    Object.assign(request.headers, headers, { "content-length": String(Buffer.byteLength(body)) });
    request.push(body === "" ? null : Buffer.from(body));
    if (body !== "") request.push(null);
    request.complete = true; // or reading it to the end closes the socket under the answer

    const response = new ServerResponse(request);
    response.useChunkedEncodingByDefault = false; // what is sent is head and body, and nothing between
    response.assignSocket(socket as Socket);
    response.once("finish", () => {
      const answer = Buffer.concat(sent);
      response.emit("close"); // which the access log waits for
      const headersOf = Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)]);
      resolve({
        status: response.statusCode,
        headers: Object.fromEntries(headersOf) as Record<string, string>,
        body: answer.subarray(answer.indexOf("\r\n\r\n") + 4).toString(),
      });
    });
    response.once("error", reject);
    onRequest?.(request);
    handle(request, response);
  });
}
