/** `grantor/resource-server`: status lists and keys: when they are fetched, how long they serve, and what happens when they cannot be had. */
import { deflateSync } from "node:zlib";
import { AccessTokenError, createVerifier, type VerifierOptions } from "grantor/resource-server";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { AUDIENCE, TestIssuer, type TestKey, testKey } from "../support/issuer.ts";

let keys: TestKey[];
let issuer: TestIssuer;
beforeAll(async () => {
  keys = [await testKey("one"), await testKey("two")];
});
beforeEach(() => {
  // The clock stands, at the beginning of a second, and moves when a test or a wait moves it.
  vi.useFakeTimers({ toFake: ["Date"], now: 1_900_000_000_000 });
  issuer = new TestIssuer("https://id.example", keys);
  vi.stubGlobal("setTimeout", (work: () => void, ms: number) => {
    issuer.ahead += ms;
    setImmediate(work);
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const verifier = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ issuer: issuer.url, audience: AUDIENCE, fetch: issuer.fetch, now: issuer.now, ...options });
const pass = (seconds: number) => {
  issuer.ahead += seconds * 1000;
};
const lists = () => issuer.times("status-lists");
const sets = () => issuer.times("jwks");
const metadata = () => issuer.times("oauth-authorization-server");
/** 200, or the status of the refusal. */
const outcome = (verified: Promise<unknown>): Promise<number> =>
  verified.then(
    () => 200,
    (error: unknown) => {
      if (error instanceof AccessTokenError) return error.status;
      throw error;
    },
  );
const unavailable = () => new Response("no", { status: 503, headers: { "Retry-After": "2" } });
const away = (part: string, answer: () => Response | Promise<Response> = unavailable) => {
  issuer.intercept = (path) => (path.includes(part) ? answer() : undefined);
};
const back = () => {
  issuer.intercept = () => undefined;
};
/** What runs in the background is done. */
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(() => setImmediate(resolve)))));
/** Holds what is fetched until it is opened. */
function hold(part: string): () => void {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  issuer.intercept = async (path) => {
    if (path.includes(part)) await opened;
    return undefined;
  };
  return () => open();
}

describe("a status list", () => {
  it("is fetched once, however many ask at once, and serves until iat + ttl", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    const open = hold("");
    const asked = Array.from({ length: 20 }, () => verify(token));
    open();
    await Promise.all(asked);
    pass(9.9);
    await verify(token);
    expect([metadata(), sets(), lists()]).toEqual([1, 1, 1]);
  });

  it("tells of a revocation within ttl + 1 s: it is replaced in the background, and serves half a second longer at most", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    await verify(token);
    issuer.revoke(7);
    pass(10);
    const open = hold("status-lists");
    expect(await outcome(verify(token))).toBe(200);
    pass(0.4);
    expect(await outcome(verify(token))).toBe(200);
    pass(0.1);
    const waiting = outcome(verify(token));
    open();
    expect(await waiting).toBe(401);
    expect(lists()).toBe(2);
    expect(await outcome(verify(token))).toBe(401);
    expect(lists()).toBe(2);
  });

  it("is waited for when nobody asked for longer than that", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    await verify(token);
    issuer.revoke(7);
    pass(60);
    expect(await outcome(verify(token))).toBe(401);
  });

  it("counts its age from its own iat, and not from when it came", async () => {
    const { verify } = verifier();
    issuer.listFaults = { claims: { iat: issuer.seconds() - 8 } };
    const token = await issuer.token();
    await verify(token);
    issuer.listFaults = {};
    issuer.revoke(7);
    pass(1.9);
    expect(await outcome(verify(token))).toBe(200);
    pass(0.7);
    expect(await outcome(verify(token))).toBe(401);
  });

  it("counts it from when it was asked for, when our clock is behind", async () => {
    const behind = verifier({ now: () => issuer.now() - 4000 });
    const token = await issuer.token();
    await behind.verify(token);
    issuer.revoke(7);
    pass(10.6);
    expect(await outcome(behind.verify(token))).toBe(401);
  });

  it("is asked for again while the issuer's clock is behind ours", async () => {
    const aheadOf = verifier({ now: () => issuer.now() + 1500 });
    const token = await issuer.token();
    await aheadOf.verify(token);
    pass(9.5);
    expect(await outcome(aheadOf.verify(token))).toBe(200);
    expect(lists()).toBeGreaterThan(2);
    const far = verifier({ now: () => issuer.now() + 60_000 });
    expect(await outcome(far.verify(await issuer.token()))).toBe(503);
  });

  it("is asked for by its ETag", async () => {
    const headers: (string | undefined)[] = [];
    const { verify } = verifier({
      fetch: (url, init) => {
        if (url.includes("status-lists")) headers.push(init.headers["If-None-Match"]);
        return issuer.fetch(url, init);
      },
    });
    const token = await issuer.token();
    await verify(token);
    pass(11);
    await verify(token);
    expect(headers).toEqual([undefined, expect.stringMatching(/^"/)]);
  });

  it("goes never back in time", async () => {
    const { verify } = verifier({ onStatusOutage: "use-last-until-exp" });
    const token = await issuer.token();
    const old = issuer.seconds();
    issuer.revoke(7);
    pass(5);
    expect(await outcome(verify(token))).toBe(401);
    pass(11);
    issuer.listFaults = { claims: { iat: old }, lst: deflateSync(new Uint8Array(128)) };
    expect(await outcome(verify(token))).toBe(401);
  });

  it("keeps its place by the draft's order of bits", async () => {
    const { verify } = verifier();
    for (const index of [0, 9, 1023]) issuer.revoke(index);
    const of = async (idx: number) => outcome(verify(await issuer.token({ status: { status_list: { idx, uri: issuer.listUri() } } })));
    expect(await Promise.all([0, 1, 8, 9, 10, 1022, 1023].map(of))).toEqual([401, 200, 200, 401, 200, 200, 401]);
  });

  it.each([
    [2, 401, 200, 401, 401],
    [4, 401, 401, 200, 200],
    [8, 401, 200, 200, 200],
  ])("may have %d bits for each", async (bits, ...expected) => {
    // 0b01100001: of two bits 1, 0, 2, 1; of four 1, 6.
    const bytes = Buffer.alloc(64);
    bytes[0] = 0b01_10_00_01;
    issuer.listFaults = { claims: { status_list: { bits, lst: deflateSync(bytes).toString("base64url") } } };
    const { verify } = verifier();
    const of = async (idx: number) => outcome(verify(await issuer.token({ status: { status_list: { idx, uri: issuer.listUri() } } })));
    expect(await Promise.all([0, 1, 2, 3].map(of))).toEqual(expected);
  });
});

describe("a list that is not to be trusted means 503 with Retry-After, never that a token is good", () => {
  const bomb = deflateSync(Buffer.alloc(64 * 1024 * 1024));
  const faults: Record<string, () => void> = {
    "about another one": () => {
      issuer.listFaults = { claims: { sub: issuer.listUri("b") } };
    },
    "of another type": () => {
      issuer.listFaults = { header: { typ: "at+jwt" } };
    },
    "without a type": () => {
      issuer.listFaults = { header: { typ: undefined as never } };
    },
    "signed by somebody else": () => {
      issuer.listFaults = { key: { ...(keys[1] as TestKey), jwk: (keys[0] as TestKey).jwk } };
    },
    "signed by a key that is not published": async () => {
      issuer.keys = keys.slice(0, 1);
      issuer.listFaults = { key: keys[1] as TestKey };
    },
    old: () => {
      issuer.listFaults = { claims: { iat: issuer.seconds() - 100 } };
    },
    "of the future": () => {
      issuer.listFaults = { claims: { iat: issuer.seconds() + 100 } };
    },
    "past its end": () => {
      issuer.listFaults = { claims: { exp: issuer.seconds() - 10 } };
    },
    "without a time": () => {
      issuer.listFaults = { claims: { iat: undefined as never } };
    },
    "with no life": () => {
      issuer.listFaults = { claims: { ttl: 0 } };
    },
    "with a life that is no number": () => {
      issuer.listFaults = { claims: { ttl: "10" } };
    },
    "without a list": () => {
      issuer.listFaults = { claims: { status_list: undefined } };
    },
    "with three bits": () => {
      issuer.listFaults = { claims: { status_list: { bits: 3, lst: deflateSync(Buffer.alloc(10)).toString("base64url") } } };
    },
    empty: () => {
      issuer.listFaults = { lst: deflateSync(Buffer.alloc(0)) };
    },
    "not compressed": () => {
      issuer.listFaults = { lst: Buffer.alloc(128) };
    },
    "cut off": () => {
      issuer.listFaults = { lst: deflateSync(Buffer.alloc(4096)).subarray(0, 10) };
    },
    "a bomb": () => {
      issuer.listFaults = { lst: bomb };
    },
    "too long": () => away("status-lists", () => new Response("x".repeat(5 * 1024 * 1024))),
    "no JWT": () => away("status-lists", () => new Response("{}")),
    missing: () => away("status-lists", () => new Response(null, { status: 404 })),
    elsewhere: () => away("status-lists", () => new Response(null, { status: 302, headers: { Location: "https://evil.example" } })),
    "not to be had": () => away("status-lists"),
    unreachable: () => away("status-lists", () => Promise.reject(new TypeError("fetch failed"))),
  };
  it.each(Object.entries(faults))("%s", async (_, fault) => {
    await fault();
    const { verify } = verifier();
    const token = await issuer.token();
    const error = (await verify(token).catch((error: unknown) => error)) as AccessTokenError;
    expect(error).toMatchObject({ status: 503, code: "temporarily_unavailable", wwwAuthenticate: undefined });
    expect(Number(error.headers["Retry-After"])).toBeGreaterThan(0);
    expect(`${error.message}${error.cause}`).not.toContain(token.split(".")[1]);
    // And all is well when the fault is gone.
    issuer.listFaults = {};
    back();
    expect(await outcome(verify(token))).toBe(200);
  });

  it("too short for a token", async () => {
    const { verify } = verifier();
    issuer.listFaults = { lst: deflateSync(Buffer.alloc(1)) };
    const token = await issuer.token({ status: { status_list: { idx: 8, uri: issuer.listUri() } } });
    expect(await outcome(verify(token))).toBe(503);
    expect(await outcome(verify(await issuer.token()))).toBe(200);
    issuer.listFaults = {};
    expect(await outcome(verify(token))).toBe(503);
    pass(11);
    expect(await outcome(verify(token))).toBe(200);
  });

  it("passes on what the issuer says about when to come back", async () => {
    away("status-lists");
    const error = (await verifier()
      .verify(await issuer.token())
      .catch((error: unknown) => error)) as AccessTokenError;
    expect(error.headers).toEqual({ "Retry-After": "2" });
  });

  it("bounds it also where the runtime has no DecompressionStream", async () => {
    vi.stubGlobal("DecompressionStream", undefined);
    expect(await outcome(verifier().verify(await issuer.token()))).toBe(200);
    issuer.listFaults = { lst: bomb };
    expect(await outcome(verifier().verify(await issuer.token()))).toBe(503);
  });
});

describe("in an outage", () => {
  it("nothing is let through by default, and all is well at once when it is over", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    await verify(token);
    away("status-lists");
    pass(10.2);
    expect(await outcome(verify(token))).toBe(200);
    pass(0.4);
    expect(await outcome(verify(token))).toBe(503);
    back();
    pass(1);
    expect(await outcome(verify(token))).toBe(200);
  });

  it("asks again at once, and then less and less often", async () => {
    const { verify } = verifier();
    const token = await issuer.token();
    away("status-lists");
    for (let i = 0; i < 20; i++) expect(await outcome(verify(token))).toBe(503);
    expect(lists()).toBe(2);
    pass(1);
    for (let i = 0; i < 20; i++) expect(await outcome(verify(token))).toBe(503);
    expect(lists()).toBe(3);
  });

  it("uses the last list until its exp, where that is wished, without waiting for what failed", async () => {
    const { verify } = verifier({ onStatusOutage: "use-last-until-exp" });
    const token = await issuer.token();
    const revoked = await issuer.token({ status: { status_list: { idx: 8, uri: issuer.listUri() } } });
    issuer.revoke(8);
    await verify(token);
    away("");
    pass(60);
    expect(await outcome(verify(token))).toBe(200);
    expect(await outcome(verify(revoked))).toBe(401);
    pass(30);
    const open = hold("");
    expect(await outcome(verify(token))).toBe(200);
    open();
    await settled();
    away("");
    pass(225);
    // The list has ended, and another one was never there.
    expect(await outcome(verify(token))).toBe(503);
    expect(await outcome(verify(await issuer.token({ status: { status_list: { idx: 1, uri: issuer.listUri("b") } } })))).toBe(503);
  });

  it("keeps the last keys for as long as the last list, and no longer", async () => {
    issuer.jwksMaxAge = 20;
    const { verify } = verifier({ onStatusOutage: "use-last-until-exp", status: "if-present" });
    const token = await issuer.token();
    const without = await issuer.token({ status: undefined });
    await verify(token);
    away("");
    pass(100);
    expect(await outcome(verify(token))).toBe(200);
    expect(await outcome(verify(without))).toBe(503);
    pass(300);
    expect(await outcome(verify(token))).toBe(503);
  });
});

describe("lists in memory", () => {
  const of = (id: string) => issuer.token({ status: { status_list: { idx: 1, uri: issuer.listUri(id) } } });

  it("are bounded: the least recently used goes", async () => {
    const { verify } = verifier({ maxStatusLists: 2 });
    const [a, b, c] = await Promise.all(["a", "b", "c"].map(of));
    for (const token of [a, b, a, c, a]) {
      await verify(token as string);
      pass(0.1);
    }
    expect(lists()).toBe(3);
    await verify(b as string);
    expect(lists()).toBe(4);
  });

  it("are dropped when nobody asks for them any more", async () => {
    const { verify } = verifier();
    const b = await of("b");
    await verify(await issuer.token());
    await verify(b);
    pass(601);
    await verify(await of("c"));
    // The next answer to `b` is one without the ETag of the old one.
    const before = lists();
    await verify(await of("b"));
    expect(lists()).toBe(before + 1);
  });
});

describe("keys", () => {
  it("are fetched again for a new name, but not for every made-up one", async () => {
    const { verify } = verifier();
    issuer.keys = keys.slice(0, 1);
    await verify(await issuer.token());
    const stranger = await testKey("three");
    const made = await issuer.token({}, { by: stranger });
    for (let i = 0; i < 5; i++) expect(await outcome(verify(made))).toBe(401);
    expect(sets()).toBe(1);
    pass(6);
    const [first, second] = await Promise.all([outcome(verify(made)), outcome(verify(made))]);
    expect([first, second, sets()]).toEqual([401, 401, 2]);
    issuer.keys = keys;
    pass(6);
    expect(await outcome(verify(await issuer.token({}, { by: keys[1] as TestKey })))).toBe(200);
    expect(sets()).toBe(3);
  });

  it("serve for their max-age and are replaced in the background before; a key that is gone is gone then", async () => {
    issuer.jwksMaxAge = 100;
    const { verify } = verifier();
    const token = await issuer.token();
    await verify(token);
    pass(79);
    await verify(token);
    expect(sets()).toBe(1);
    pass(2);
    const open = hold("jwks");
    await verify(token);
    open();
    await settled();
    expect(sets()).toBe(2);
    back();
    issuer.keys = [keys[1] as TestKey];
    pass(99);
    await verify(token);
    await settled();
    expect(await outcome(verify(token))).toBe(401);
    expect(sets()).toBe(3);
  });

  it("are not used past their max-age when they cannot be fetched: 503", async () => {
    issuer.jwksMaxAge = 100;
    const { verify } = verifier({ status: "off" });
    const token = await issuer.token();
    await verify(token);
    away("jwks");
    pass(99);
    expect(await outcome(verify(token))).toBe(200);
    pass(1);
    expect(await outcome(verify(token))).toBe(503);
    back();
    pass(1);
    expect(await outcome(verify(token))).toBe(200);
  });

  it("with a shared secret among them are not used", async () => {
    const oct = {
      jwk: { kty: "oct", k: Buffer.alloc(32, 1).toString("base64url"), kid: "oct", alg: "HS256" },
      privateKey: undefined as never,
    };
    issuer.keys = [...keys, oct];
    expect(await outcome(verifier().verify(await issuer.token()))).toBe(200);
  });

  it("are of the issuer that was meant, by metadata that names it", async () => {
    const wrong: Record<string, unknown>[] = [
      { issuer: "https://evil.example" },
      { issuer: "https://id.example/" },
      { jwks_uri: "http://id.example/jwks" },
      { jwks_uri: undefined },
    ];
    for (const members of wrong) {
      const other = new TestIssuer("https://id.example", keys);
      other.metadata = { ...other.metadata, ...members };
      const { verify } = createVerifier({ issuer: other.url, audience: AUDIENCE, fetch: other.fetch, now: issuer.now });
      expect(await outcome(verify(await issuer.token())), JSON.stringify(members)).toBe(503);
    }
  });

  it("are found by either document, and with a path in the issuer (RFC 8414 §3.1)", async () => {
    away("oauth-authorization-server", () => new Response(null, { status: 404 }));
    expect(await outcome(verifier().verify(await issuer.token()))).toBe(200);

    const urls: string[] = [];
    const nested = createVerifier({
      issuer: "https://id.example/one",
      audience: AUDIENCE,
      fetch: (url) => {
        urls.push(url);
        return Promise.resolve(new Response(null, { status: 404 }));
      },
    });
    expect(await outcome(nested.verify(await issuer.token()))).toBe(503);
    expect(urls).toEqual([
      "https://id.example/.well-known/oauth-authorization-server/one",
      "https://id.example/one/.well-known/openid-configuration",
    ]);
  });
});
