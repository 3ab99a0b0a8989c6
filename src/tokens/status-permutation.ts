/**
 * The order in which a status list's indices are handed out: a permutation of all of them that only the list's seed gives, so that an index
 * tells nothing about when its token was issued, or how many there are.
 */
import { createCipheriv } from "node:crypto";
import { LIST_CAPACITY } from "../storage/status-bits.ts";

const HALF_BITS = Math.log2(LIST_CAPACITY) / 2;
const HALF_SIZE = 2 ** HALF_BITS;
/** A Feistel network with random tables for round functions is a random permutation from a few rounds on; these cost microseconds. */
const ROUNDS = 10;

/** @param seed 32 random bytes @returns a bijection on 0 … LIST_CAPACITY - 1 */
export function permutationOf(seed: Buffer): (position: number) => number {
  const keystream = createCipheriv("aes-256-ctr", seed, Buffer.alloc(16)).update(Buffer.alloc(ROUNDS * HALF_SIZE * 2));
  return (position) => {
    let [left, right] = [position >>> HALF_BITS, position & (HALF_SIZE - 1)];
    for (let round = 0; round < ROUNDS; round++) {
      const word = keystream.readUInt16LE((round * HALF_SIZE + right) * 2);
      [left, right] = [right, left ^ (word & (HALF_SIZE - 1))];
    }
    return (left << HALF_BITS) | right;
  };
}
