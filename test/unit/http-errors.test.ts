import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HttpProblem } from "../../src/http/errors.ts";
import { english, text } from "../../src/i18n/messages.ts";
import { type Host, startHost } from "../support/host.ts";

let host: Host;
afterEach(() => host.close());

const html = { Accept: "text/html,application/xhtml+xml" };
const thrown: Record<string, () => unknown> = {
  "/unknown": () => new Error("SELECT secret FROM table failed"),
  "/not-an-error": () => "just text",
  "/store": () => Object.assign(new Error("connect ECONNREFUSED 10.0.0.5:6379"), { status: 503 }),
  "/problem": () =>
    new HttpProblem(409, "taken", text("faults:email_taken"), { cause: new Error("unique index"), headers: { "X-Why": "taken" } }),
  "/marked": () => new HttpProblem(400, "invalid_request", text("remedies:other.what", { error: "<b>bold</b> & more" })),
  "/uri": () => new URIError("URI malformed"),
};

beforeEach(async () => {
  host = await startHost({
    routes: ({ render }) => [
      (ctx) => {
        const make = thrown[ctx.path];
        if (make) {
          ctx.set("ETag", '"x"');
          ctx.set("Cache-Control", "public");
          throw make();
        }
        if (ctx.path === "/throw-418") ctx.throw(418, "brewing detail");
        if (ctx.path === "/method") ctx.status = 405;
        if (ctx.path === "/own-404") {
          ctx.status = 404;
          ctx.body = { error: "own" };
        }
        if (ctx.path === "/half") {
          const stream = new PassThrough();
          ctx.body = stream;
          stream.write("half");
          setTimeout(() => stream.destroy(new Error("source broke")), 20);
        }
        if (ctx.path === "/bad-model") render(ctx, "error", {} as never);
      },
    ],
  });
});

const errorsInLog = () => host.lines.filter((line) => line.level === "error");

describe("an unknown error", () => {
  test.each(["/unknown", "/not-an-error"])("%s is a 500 without detail, logged once with the reference", async (path) => {
    const page = await host.send(path, { headers: html });
    expect(page.status).toBe(500);
    expect(page.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(page.headers["cache-control"]).toBe("no-store");
    expect(page.headers.etag).toBeUndefined();
    expect(page.text).not.toMatch(/SELECT|just text/);
    expect(page.text).toContain(page.headers["x-request-id"]);
    expect(errorsInLog()).toHaveLength(1);
    expect(errorsInLog()[0]).toMatchObject({ requestId: page.headers["x-request-id"], status: 500 });
  });

  test("is JSON for a program", async () => {
    const answer = await host.send("/unknown");
    expect(answer.headers["content-type"]).toMatch("application/json");
    expect(JSON.parse(answer.text)).toEqual({
      error: "server_error",
      error_description: "It is this server's fault, not yours.",
      reference: answer.headers["x-request-id"],
    });
  });
});

test("a store that cannot be reached is 503 with Retry-After", async () => {
  const answer = await host.send("/store");
  expect(answer.status).toBe(503);
  expect(answer.headers["retry-after"]).toBe("2");
  expect(answer.text).not.toContain("10.0.0.5");
  expect(JSON.stringify(errorsInLog())).toContain("ECONNREFUSED");
});

test("a problem shows its own words and keeps its cause for the log", async () => {
  const answer = await host.send("/problem");
  expect(answer.status).toBe(409);
  expect(answer.headers["x-why"]).toBe("taken");
  expect(JSON.parse(answer.text)).toMatchObject({ error: "taken", error_description: english(text("faults:email_taken")) });
  expect(answer.text).not.toContain("unique index");
  expect(JSON.stringify(host.lines)).toContain("unique index");
});

test("text in a page is escaped", async () => {
  const page = await host.send("/marked", { headers: html });
  expect(page.text).not.toContain("<b>");
  expect(page.text).toContain("&#60;b&#62;bold");
});

test("koa's own errors keep their status, not their words", async () => {
  const answer = await host.send("/throw-418");
  expect(answer.status).toBe(418);
  expect(answer.text).not.toContain("brewing");
});

test("a malformed address is 400", async () => {
  expect((await host.send("/uri")).status).toBe(400);
});

describe("nothing there", () => {
  test("404 and 405 are pages or JSON", async () => {
    const page = await host.send("/nowhere", { headers: html });
    expect(page.status).toBe(404);
    expect(page.text).toContain("There is nothing here");
    expect(JSON.parse((await host.send("/nowhere")).text)).toMatchObject({ error: "not_found" });
    expect((await host.send("/method", { headers: html })).status).toBe(405);
    expect((await host.send("/assets/nothing.css", { headers: html })).status).toBe(404);
  });

  test("a body that somebody chose is left alone", async () => {
    expect((await host.send("/own-404")).text).toBe('{"error":"own"}');
  });
});

test("an answer that breaks off is cut, logged and marked as aborted", async () => {
  host.app.silent = true;
  await expect(host.send("/half")).rejects.toThrow();
  await expect.poll(() => host.lines.filter((line) => line.msg === "request")).toHaveLength(1);
  expect(host.lines.find((line) => line.msg === "request")).toMatchObject({ aborted: true });
});

test("a page that cannot be rendered becomes an error page", async () => {
  const page = await host.send("/bad-model", { headers: html });
  expect(page.status).toBe(500);
  expect(page.text).toContain("Something went wrong here");
});
