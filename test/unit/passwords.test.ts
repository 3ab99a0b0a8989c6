import { hash } from "@node-rs/argon2";
import { describe, expect, test } from "vitest";
import { createPasswords, passwordCost } from "../../src/accounts/passwords.ts";

const cheap = { memoryCost: 64, timeCost: 1, parallelism: 1 };

describe("hashes", () => {
  test("are argon2id at OWASP's cost, salted, and open to the same password alone", async () => {
    const passwords = createPasswords();
    const [one, other] = await Promise.all([passwords.hash("correct horse battery"), passwords.hash("correct horse battery")]);
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(one).not.toBe(other);
    expect(await passwords.verify(one, "correct horse battery")).toEqual({ ok: true, outdated: false });
    expect(await passwords.verify(one, "correct horse batterY")).toEqual({ ok: false, outdated: false });
  });

  test("know a password in whatever Unicode form it is typed", async () => {
    const passwords = createPasswords({ cost: cheap });
    const phc = await passwords.hash("caf\u00E9 ﬁne and fifteen");
    expect((await passwords.verify(phc, "cafe\u0301 fine and fifteen")).ok).toBe(true);
  });

  test("keep every character of 256 emoji", async () => {
    const passwords = createPasswords({ cost: cheap });
    const phc = await passwords.hash("😀".repeat(256));
    expect((await passwords.verify(phc, "😀".repeat(256))).ok).toBe(true);
    expect((await passwords.verify(phc, `${"😀".repeat(255)}😁`)).ok).toBe(false);
  });

  test("cost what the settings say", async () => {
    const passwords = createPasswords({ cost: passwordCost({ hashMemory: 7_168, hashPasses: 3 }) });
    expect(await passwords.hash("correct horse battery")).toMatch(/^\$argon2id\$v=19\$m=7168,t=3,p=1\$/);
  });

  test("made with less work are told apart", async () => {
    const old = await hash("correct horse battery", cheap);
    expect(await createPasswords().verify(old, "correct horse battery")).toEqual({ ok: true, outdated: true });
    expect(await createPasswords().verify(old, "wrong")).toEqual({ ok: false, outdated: false });
  });

  test.each([undefined, "", "plain", "$argon2id$v=19$m=64,t=1,p=1$broken"])(
    "that are none (%s) open to nothing, not even to an empty password",
    async (phc) => {
      const passwords = createPasswords({ cost: cheap });
      expect((await passwords.verify(phc, "")).ok).toBe(false);
      expect((await passwords.verify(phc, "a".repeat(100_000))).ok).toBe(false);
    },
  );

  test("of the empty password do not open to one that is too long to be read", async () => {
    const passwords = createPasswords({ cost: cheap });
    expect((await passwords.verify(await passwords.hash(""), "a".repeat(100_000))).ok).toBe(false);
  });

  test("cost as much to check for an account that does not exist", async () => {
    const passwords = createPasswords({ concurrency: 1 });
    const phc = await passwords.hash("correct horse battery");
    // CPU time of all threads: what a busy machine takes away does not count.
    const cost = async (of: string | undefined) => {
      const from = process.cpuUsage();
      for (let round = 0; round < 8; round += 1) await passwords.verify(of, "a wrong password, quite long");
      const { user, system } = process.cpuUsage(from);
      return user + system;
    };
    await cost(phc);
    expect(await cost(undefined)).toBeGreaterThan((await cost(phc)) / 2);
  });
});

test("too many at once are told to come back, the others are served", async () => {
  const passwords = createPasswords({ cost: cheap, concurrency: 2, maxWaiting: 3 });
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => passwords.hash("correct horse battery")));
  expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(5);
  const refused = results.find((result) => result.status === "rejected") as PromiseRejectedResult;
  expect(refused.reason).toMatchObject({ code: "busy", status: 503, headers: { "Retry-After": "2" } });
  expect(await passwords.hash("correct horse battery")).toMatch(/^\$argon2id/);
});

test("the event loop goes on while passwords are hashed", async () => {
  const passwords = createPasswords();
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
  }, 1);
  await Promise.all(Array.from({ length: 8 }, () => passwords.hash("correct horse battery")));
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(10);
});
