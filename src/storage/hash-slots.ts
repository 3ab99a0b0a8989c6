/**
 * Hash slots of a Redis Cluster.
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
 */

export const SLOTS = 16_384;

/** The slot of a key: of its hash tag, where it has one. */
export function slotOf(name: string): number {
  const open = name.indexOf("{");
  const close = name.indexOf("}", open + 1);
  const hashed = open !== -1 && close > open + 1 ? name.slice(open + 1, close) : name;
  let crc = 0; // CRC-16/XMODEM
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % SLOTS;
}

const tags: string[] = [];
let next = 0;

/** A hash tag whose keys lie in a slot; always the same one. */
export function tagOf(slot: number): string {
  for (; tags[slot] === undefined; next++) tags[slotOf(`${next}`)] ??= `${next}`;
  return tags[slot];
}
