/** Logos of applications: which are shown, what counts as one, and how often their place is asked. */
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { ClientRecord } from "../../src/clients/client-record.ts";
import { pictureOf } from "../../src/clients/logo-image.ts";
import { initialOf } from "../../src/clients/logo-initial.ts";
import { createLogos, logoPathOf } from "../../src/clients/logos.ts";

const client = (logo_uri: string | undefined, others: Partial<ClientRecord> = {}): ClientRecord =>
  ({
    clientId: "a/client",
    metadata: { ...(logo_uri !== undefined && { logo_uri }) },
    createdBy: "operator",
    verified: false,
    firstParty: false,
    ...others,
  }) as ClientRecord;

const png = (width: number, height: number) => {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1"), header, deflateSync(Buffer.alloc(10))]);
};
const gif = (width: number, height: number) =>
  Buffer.from([..."GIF89a"].map((c) => c.charCodeAt(0)).concat([width & 255, width >> 8, height & 255, height >> 8, 0]));
const jpeg = (width: number, height: number) =>
  Buffer.from([
    0xff,
    0xd8,
    0xff,
    0xe0,
    0,
    4,
    1,
    2,
    0xff,
    0xff,
    0xc2,
    0,
    17,
    8,
    height >> 8,
    height & 255,
    width >> 8,
    width & 255,
    3,
    0,
    0,
    0,
  ]);
const webp = (kind: string, size: number[]) =>
  Buffer.concat([Buffer.from(`RIFF\0\0\0\0WEBP${kind}\0\0\0\0`, "latin1"), Buffer.from(size), Buffer.alloc(10)]);

describe("a picture", () => {
  test("is known by its bytes, with its size", () => {
    expect(pictureOf(png(64, 32))).toEqual({ type: "image/png", width: 64, height: 32 });
    expect(pictureOf(gif(300, 2))).toEqual({ type: "image/gif", width: 300, height: 2 });
    expect(pictureOf(jpeg(300, 200))).toEqual({ type: "image/jpeg", width: 300, height: 200 });
    expect(pictureOf(webp("VP8X", [0, 0, 0, 0, 63, 0, 0, 31, 0, 0]))).toEqual({ type: "image/webp", width: 64, height: 32 });
    expect(pictureOf(webp("VP8 ", [0, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 32, 0]))).toEqual({ type: "image/webp", width: 64, height: 32 });
    expect(pictureOf(webp("VP8L", [0x2f, 63, 0xc0, 7, 0]))).toEqual({ type: "image/webp", width: 64, height: 32 });
  });

  test("is none that a browser would take for something else, or could not hold", () => {
    const none = [
      Buffer.alloc(0),
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
      Buffer.from("<!doctype html><script>alert(1)</script>"),
      Buffer.from("GIF89a"),
      png(64, 64).subarray(0, 20),
      png(0, 64),
      png(50_000, 50_000),
      gif(2_049, 1),
      jpeg(3_000, 10),
      jpeg(10, 10).subarray(0, 14),
      Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.alloc(100, 0xff)]),
      Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff, 0, 0, 0, 0, 0, 0]),
      webp("VP8?", [0, 0, 0, 0, 63, 0, 0, 31, 0, 0]),
      Buffer.from("RIFF\0\0\0\0WEBPVP8X", "latin1"),
    ];
    for (const bytes of none) expect(pictureOf(bytes), bytes.toString("latin1").slice(0, 40)).toBeUndefined();
  });
});

describe("the logo of an application", () => {
  const LOGO = "https://app.example/logo.png";

  test("is shown, from our own address, unless nobody vouches for the application", () => {
    expect(logoPathOf(client(LOGO))).toMatch(/^\/logos\/a%2Fclient\?v=[\w-]{16}$/);
    expect(logoPathOf(client(LOGO))).not.toBe(logoPathOf(client(`${LOGO}?2`)));
    expect(logoPathOf(client(undefined))).toBeUndefined();
    expect(logoPathOf(client(LOGO, { createdBy: "registration" }))).toBeUndefined();
    for (const vouched of [{ verified: true }, { firstParty: true }])
      expect(logoPathOf(client(LOGO, { createdBy: "registration", ...vouched }))).toBeDefined();
  });

  test("is fetched once for all who ask at once, and not for strangers", async () => {
    const asked: string[] = [];
    const logos = createLogos((async (uri: string) => {
      asked.push(uri);
      return new Response(new Uint8Array(png(48, 48)), { headers: { "content-type": "text/html" } });
    }) as never);
    const found = await Promise.all(Array.from({ length: 10 }, () => logos.of(client(LOGO))));
    for (const logo of [...found, await logos.of(client(LOGO))]) expect(logo).toMatchObject({ type: "image/png", body: png(48, 48) });
    expect(await logos.of(client("https://evil.example/logo.png", { createdBy: "registration" }))).toBeUndefined();
    expect(asked).toEqual([LOGO]);
  });

  test.each([
    ["is no picture", async () => new Response("<svg/>")],
    ["is not there", async () => new Response("no", { status: 404 })],
    ["is elsewhere", async () => new Response(null, { status: 302, headers: { location: "https://else.example/" } })],
    ["may not be fetched", () => Promise.reject(new TypeError("fetch failed"))],
  ])("that %s is left alone for a while", async (_why, answer) => {
    let asked = 0;
    const logos = createLogos((() => {
      asked += 1;
      return answer();
    }) as never);
    for (let n = 0; n < 3; n++) expect(await logos.of(client(LOGO))).toBeUndefined();
    expect(asked).toBe(1);
  });

  test("is not waited for by more than a few at a time, however many there are", async () => {
    const waiting: (() => void)[] = [];
    const logos = createLogos((() => new Promise<Response>((resolve) => waiting.push(() => resolve(new Response("no"))))) as never);
    const asked = Array.from({ length: 100 }, (_, n) => logos.of(client(`https://app.example/${n}.png`)));
    expect(waiting.length).toBe(8);
    for (const answer of waiting) answer();
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 100 }, () => undefined));
  });
});

test("the stand-in is a letter and nothing that a name could smuggle in", () => {
  expect(initialOf(" ärger")).toContain(">Ä</text>");
  expect(initialOf("👩‍🚀 Space")).toContain(">👩‍🚀</text>");
  for (const name of ["<script>", "&x;", "", "   "])
    expect(initialOf(name).replace(/<\/?(?:svg|style|text)[^>]*>/g, "")).not.toMatch(/[<>]/);
});
