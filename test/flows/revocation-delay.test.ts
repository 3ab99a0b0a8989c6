/**
 * A resource server with the verifier refuses what was ended within the life of a status list and a second, whatever ended it and at whichever
 * server. `npm run bench -- revocations` measures it for every event; here nobody counts on a fast machine.
 */
import { AccessTokenError, createVerifier } from "grantor/resource-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVENTS } from "../support/ending-events.ts";
import { type Instances, startInstances } from "../support/instances.ts";
import { type Landscape, prepareWorld, settle } from "../support/landscape.ts";
import { type Stores, stores } from "../support/stores.ts";
import { waitFor } from "../support/wait-for.ts";

/** Seconds. */
const TTL = 2;
/** Milliseconds that a busy machine may take for an event, a fetch and a check beyond what they take. */
const PATIENCE = 15_000;
const SOME = ["an access token is revoked", "a refresh token is used twice", "the account is disabled", "the application is suspended"];

describe("two servers and a resource server with the verifier", () => {
  let backing: Stores;
  let instances: Instances;
  beforeAll(async () => {
    backing = await stores[1].open();
    instances = await startInstances(backing, 2, { STATUS_LIST_TTL: `${TTL}`, REFRESH_GRACE: "0" });
  });
  afterAll(async () => {
    await instances?.[Symbol.asyncDispose]();
    await backing?.close();
  });

  test("what ended at one server is soon refused by the list of the other", async () => {
    const { grantor, urls } = instances;
    const [here, elsewhere] = urls as [string, string];
    const monitor = await prepareWorld(grantor);
    const { verify } = createVerifier({
      issuer: here,
      audience: here,
      fetch: (url, init) => fetch(url.replace(here, elsewhere), init),
    });
    const outcome = (token: string): Promise<string> =>
      verify(token).then(
        () => "accepted",
        (error: unknown) => {
          if (error instanceof AccessTokenError) return error.message;
          throw error;
        },
      );
    const untouched = await settle(grantor, monitor);
    const landscapes = new Map<string, Landscape>();
    for (const name of SOME) landscapes.set(name, await settle(grantor, monitor));
    for (const [name, landscape] of landscapes) {
      expect(await outcome(landscape.accessToken), name).toBe("accepted");
      await EVENTS[name]?.(grantor, landscape);
      const ended = performance.now();
      const refused = async () => (await outcome(landscape.accessToken)) === "the access token was revoked";
      await waitFor(`${name}: the refusal`, refused);
      expect(performance.now() - ended, name).toBeLessThan((TTL + 1) * 1000 + PATIENCE);
    }
    expect(await outcome(untouched.accessToken)).toBe("accepted");
  });
});
