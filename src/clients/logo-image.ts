/** What kind of picture some bytes are, by the bytes alone. */

/** Pixels, each way: a small file can unpack to a picture that fills a browser's memory. */
const LARGEST = 2_048;

export interface Picture {
  readonly type: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
  readonly width: number;
  readonly height: number;
}

/** Undefined for what is no PNG, JPEG, GIF or WebP, is cut off, or is too large. SVG is left out: it is a document with scripts and references. */
export function pictureOf(bytes: Buffer): Picture | undefined {
  const found = READERS.map(({ type, read }) => ({ type, size: read(bytes) })).find(({ size }) => size !== undefined);
  const [width, height] = found?.size ?? [0, 0];
  if (found === undefined || width < 1 || height < 1 || width > LARGEST || height > LARGEST) return undefined;
  return { type: found.type, width, height };
}

type Size = readonly [width: number, height: number];
type Reader = (bytes: Buffer) => Size | undefined;

/** PNG §5.2, §11.2.2: the header comes first. */
const png: Reader = (bytes) =>
  has(bytes, 0, "\x89PNG\r\n\x1a\n") && has(bytes, 12, "IHDR") && bytes.length > 24
    ? [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
    : undefined;

const gif: Reader = (bytes) =>
  (has(bytes, 0, "GIF87a") || has(bytes, 0, "GIF89a")) && bytes.length > 10 ? [bytes.readUInt16LE(6), bytes.readUInt16LE(8)] : undefined;

/** RFC 9649 §2: one of three headers, each with the size at a place of its own. */
const webp: Reader = (bytes) => {
  if (!has(bytes, 0, "RIFF") || !has(bytes, 8, "WEBP") || bytes.length < 30) return undefined;
  if (has(bytes, 12, "VP8X")) return [bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1];
  if (has(bytes, 12, "VP8 ")) return [bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff];
  if (!has(bytes, 12, "VP8L")) return undefined;
  const packed = bytes.readUInt32LE(21);
  return [(packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1];
};

/** ITU T.81 §B.1.1: segments with a length each, until the one that begins the frame. */
const jpeg: Reader = (bytes) => {
  if (!has(bytes, 0, "\xff\xd8\xff")) return undefined;
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1] as number;
    if (FRAMES.has(marker)) return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)];
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
};

/** Start of frame, of all kinds: without the tables (C4, CC) and the extension (C8) between them. */
const FRAMES = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

const READERS: readonly { type: Picture["type"]; read: Reader }[] = [
  { type: "image/png", read: png },
  { type: "image/jpeg", read: jpeg },
  { type: "image/gif", read: gif },
  { type: "image/webp", read: webp },
];

const has = (bytes: Buffer, at: number, what: string): boolean => bytes.subarray(at, at + what.length).equals(Buffer.from(what, "latin1"));
