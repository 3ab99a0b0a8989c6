/** A grant is one sign-in at one client: what happens to one device of a person leaves the others alone. */
import { expect, it } from "vitest";
import type { Agent } from "../support/agent.ts";
import { describeFlows } from "../support/flows.ts";
import {
  authorizationUrl,
  introspect,
  type Person,
  pkce,
  redeem,
  refresh,
  type SeededClient,
  signIn,
  type Tokens,
  userinfo,
} from "../support/grantor.ts";

describeFlows("two devices of one person at one client", (flow) => {
  const works = async (client: SeededClient, tokens: Tokens) => {
    const alive = (await userinfo(flow.grantor, tokens.access_token)).status === 200;
    expect((await introspect(flow.grantor, client, tokens.access_token)).active).toBe(alive);
    return alive;
  };
  const isSignedIn = async (agent: Agent, client: SeededClient) => {
    const page = await agent.open(authorizationUrl(flow.grantor.url, client, pkce(), { prompt: "none" }));
    return new URL(page.url).searchParams.has("code");
  };
  const devices = async (): Promise<{
    client: SeededClient;
    person: Person;
    phone: Awaited<ReturnType<typeof signIn>>;
    laptop: Awaited<ReturnType<typeof signIn>>;
  }> => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    return { client, person, phone: await signIn(flow.grantor, client, person), laptop: await signIn(flow.grantor, client, person) };
  };

  it("ends one for a replayed code", async () => {
    const { client, phone, laptop } = await devices();
    expect((await redeem(flow.grantor, client, laptop.code, laptop.proof)).status).toBe(400);
    expect(await works(client, laptop.tokens)).toBe(false);
    expect((await refresh(flow.grantor, client, laptop.tokens.refresh_token as string)).status).toBe(400);
    expect(await works(client, phone.tokens)).toBe(true);
    expect((await refresh(flow.grantor, client, phone.tokens.refresh_token as string)).status).toBe(200);
    expect(await isSignedIn(phone.agent, client)).toBe(true);
  });

  it("ends one for a replayed code that has expired since", async () => {
    const { client, phone, laptop } = await devices();
    await flow.later(120, async () => expect((await redeem(flow.grantor, client, laptop.code, laptop.proof)).status).toBe(400));
    expect(await works(client, laptop.tokens)).toBe(false);
    expect(await works(client, phone.tokens)).toBe(true);
  });

  it("ends one for a refresh token that is used again after its successor", async () => {
    const { client, phone, laptop } = await devices();
    const next = (await (await refresh(flow.grantor, client, laptop.tokens.refresh_token as string)).json()) as Tokens;
    await refresh(flow.grantor, client, next.refresh_token as string);
    expect((await refresh(flow.grantor, client, laptop.tokens.refresh_token as string)).status).toBe(400);
    expect(await works(client, next)).toBe(false);
    expect(await works(client, phone.tokens)).toBe(true);
    expect((await refresh(flow.grantor, client, phone.tokens.refresh_token as string)).status).toBe(200);
    // The thief has no session: the person may sign in again at once.
    const again = await signIn(flow.grantor, client, { id: "", email: "", password: "" }, { agent: laptop.agent });
    expect(await works(client, again.tokens)).toBe(true);
  });

  it("ends one for a refresh token that is used again after the grace", async () => {
    const { client, phone, laptop } = await devices();
    const next = (await (await refresh(flow.grantor, client, laptop.tokens.refresh_token as string)).json()) as Tokens;
    await flow.later(11, async () => expect((await refresh(flow.grantor, client, laptop.tokens.refresh_token as string)).status).toBe(400));
    expect(await works(client, next)).toBe(false);
    expect(await works(client, phone.tokens)).toBe(true);
  });

  it("repeats the answer of a refresh to the same request alone", async () => {
    const { client, laptop } = await devices();
    const spent = laptop.tokens.refresh_token as string;
    const first = (await (await refresh(flow.grantor, client, spent)).json()) as Tokens;
    expect(await (await refresh(flow.grantor, client, spent)).json()).toEqual(first);
    expect(await (await refresh(flow.grantor, client, spent)).json()).toEqual(first);
    const stranger = await flow.grantor.client();
    expect((await refresh(flow.grantor, stranger, spent)).status).toBe(400);
    expect(await works(client, first)).toBe(true); // another client is no theft of this one's
    expect((await refresh(flow.grantor, client, spent, { scope: "openid" })).status).toBe(400); // another request with it is
    expect(await works(client, first)).toBe(false);
  });

  it("signs one out, and the other stays", async () => {
    const { client, phone, laptop } = await devices();
    await laptop.agent.submit(await laptop.agent.open(`${flow.grantor.url}/oauth/logout`), { logout: "yes" });
    expect(await works(client, laptop.tokens)).toBe(false);
    expect(await isSignedIn(laptop.agent, client)).toBe(false);
    expect(await works(client, phone.tokens)).toBe(true);
    expect(await isSignedIn(phone.agent, client)).toBe(true);
  });

  it("signs one browser in twice without ending its first tokens", async () => {
    const client = await flow.grantor.client();
    const person = await flow.grantor.person();
    const first = await signIn(flow.grantor, client, person);
    const second = await signIn(flow.grantor, client, person, { agent: first.agent });
    for (const { tokens } of [first, second]) expect(await works(client, tokens)).toBe(true);
    expect((await refresh(flow.grantor, client, first.tokens.refresh_token as string)).status).toBe(200);
  });

  it("ends all of a person's when they are disabled or deleted", async () => {
    for (const end of ["disable", "delete"] as const) {
      const { client, person, phone, laptop } = await devices();
      await flow.grantor.services.people.accounts[end](person.id);
      await flow.grantor.services.endings.endAccount(person.id);
      for (const { tokens, agent } of [phone, laptop]) {
        expect(await works(client, tokens)).toBe(false);
        expect((await refresh(flow.grantor, client, tokens.refresh_token as string)).status).toBe(400);
        expect(await isSignedIn(agent, client)).toBe(false);
      }
    }
  });
});
