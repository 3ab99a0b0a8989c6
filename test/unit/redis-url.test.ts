import { expect, test } from "vitest";
import { parseRedisUrl } from "../../src/redis-url.ts";

const nobody = { username: undefined, password: undefined };

test.each([
  ["redis://localhost", { kind: "single", tls: false, node: { host: "localhost", port: 6379 }, database: 0, ...nobody }],
  ["redis://localhost:6380/2", { kind: "single", tls: false, node: { host: "localhost", port: 6380 }, database: 2, ...nobody }],
  ["redis://[::1]:6380/", { kind: "single", tls: false, node: { host: "::1", port: 6380 }, database: 0, ...nobody }],
  [
    "rediss://:p%40ss@r.example",
    { kind: "single", tls: true, node: { host: "r.example", port: 6379 }, database: 0, username: undefined, password: "p@ss" },
  ],
  [
    "redis://user:a:b@grantor_redis_1",
    { kind: "single", tls: false, node: { host: "grantor_redis_1", port: 6379 }, database: 0, username: "user", password: "a:b" },
  ],
  ["unix:///run/redis.sock", { kind: "socket", path: "/run/redis.sock", database: 0, ...nobody }],
  ["unix://redis.sock?db=3", { kind: "socket", path: "redis.sock", database: 3, ...nobody }],
  ["unix://:secret@/run/redis.sock", { kind: "socket", path: "/run/redis.sock", database: 0, username: undefined, password: "secret" }],
  [
    "redis+sentinel://u:p@a:1,b,10.0.0.1:3/main/4",
    {
      kind: "sentinel",
      tls: false,
      nodes: [
        { host: "a", port: 1 },
        { host: "b", port: 26379 },
        { host: "10.0.0.1", port: 3 },
      ],
      master: "main",
      database: 4,
      username: "u",
      password: "p",
    },
  ],
  [
    "rediss+cluster://a:7000,[fd00::1]:7001",
    {
      kind: "cluster",
      tls: true,
      nodes: [
        { host: "a", port: 7000 },
        { host: "fd00::1", port: 7001 },
      ],
      ...nobody,
    },
  ],
])("%s", (url, address) => {
  expect(parseRedisUrl(url)).toEqual(address);
});

test.each([
  "",
  "localhost:6379",
  "http://localhost",
  "redis://",
  "redis://localhost:0",
  "redis://localhost:65536",
  "redis://localhost:x",
  "redis://a,b",
  "redis://localhost/x",
  "redis://localhost/1/2",
  "redis://localhost?db=1",
  "redis://999.1.1.1",
  "redis://u:%zz@localhost",
  "redis://[zz]:1",
  "redis+sentinel://a:1,b:2",
  "redis+sentinel://a:1,b:2/",
  "redis+sentinel://a:1,,b:2/main",
  "redis+sentinel://a:1/main/x",
  "redis+sentinel://a:1/main/0/1",
  "redis+cluster://a:1/0",
  "redis+cluster://",
  "unix://",
  "unix://?db=1",
  "unix:///run/redis.sock?database=1",
  "unix+cluster:///run/redis.sock",
])("refuses %s", (url) => {
  expect(parseRedisUrl(url)).toBeUndefined();
});
