import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { pino } from "pino";
import { expect, test } from "vitest";
import { closeRedis, connectRedis } from "../../src/storage/redis-client.ts";

const log = pino({ level: "silent" });

test("a Redis that answers no more is not waited for when the server ends, nor looked for again", async () => {
  await using silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const met = once(silent, "connection");
  const client = connectRedis(url, log);
  const [socket] = await met;
  const left = once(socket.resume(), "close");
  const asked = client.get("something").catch((error: Error) => error);
  await closeRedis(client, 20);
  await left;
  expect(await asked).toBeInstanceOf(Error);
  expect(client.status).toBe("end");
});
