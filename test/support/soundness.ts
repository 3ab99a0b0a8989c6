/** What every answer to bad input has in common. */
import { expect } from "vitest";
import type { Page } from "./agent.ts";
import type { Flow } from "./flows.ts";
import { type RawAnswer, rawRequest, sendRaw } from "./raw-http.ts";
import { waitFor } from "./wait-for.ts";

/** What an answer must never show of the server's inside. */
export const TRACE = /\bat .*\(?(?:file:\/\/|node:|\/).*:\d+:\d+|node_modules|PrismaClient|ECONNREFUSED/;

export const isSound = ({ status, body }: { status: number; body: string }): boolean => status < 500 && !TRACE.test(body);

/** Sends requests byte by byte to a flow's server. */
export const rawTo =
  (flow: Flow) =>
  (method: string, target: string, headers: Record<string, string> = {}, body = ""): Promise<RawAnswer> =>
    sendRaw(flow.grantor.url, rawRequest(method, target, headers, body));

/** An error page for a person: never a redirect, and its reference is in the log. */
export async function expectErrorPage(flow: Flow, page: Page, status: number, words: string): Promise<void> {
  expect([page.url.slice(0, 200), page.status, page.text.includes(words)]).toEqual([page.url.slice(0, 200), status, true]);
  expect(page.headers.get("Content-Type")).toBe("text/html; charset=utf-8");
  expect(page.headers.get("Content-Security-Policy")).toContain("frame-ancestors 'none'");
  expect(page.headers.get("Cache-Control")).toBe("no-store");
  expect(page.text).not.toMatch(TRACE);
  const reference = /<dt>Reference<\/dt><dd><code>([^<]+)<\/code>/.exec(page.text)?.[1] as string;
  expect(reference).toBe(page.headers.get("X-Request-Id"));
  await waitFor("the reference in the log", () => flow.grantor.server.logs().includes(reference));
}
