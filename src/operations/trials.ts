/**
 * "Try it": an owner runs an application's own flow, with its client id, its settings and its policies, and sees each request and each answer. This
 * server plays the application's part (docs/decisions/try-it.md). A run lasts some minutes and is sealed where it lies; what is kept of requests and
 * answers for showing has no secret in it.
 */
import { createHash, randomBytes } from "node:crypto";
import { type ClientType, clientType, DEVICE_CODE_GRANT } from "../clients/client-metadata.ts";
import type { ClientRecord } from "../clients/client-record.ts";
import { isOpenIdScope, joinScope, splitScope } from "../clients/scopes.ts";
import { TRIAL_LIFE, type TrialStates } from "../clients/trial-states.ts";
import { firstComers } from "../storage/first-comers.ts";
import type { RecordKey, RecordStore } from "../storage/record-store.ts";
import type { Sealer } from "../storage/seal.ts";
import { type Exchange, type TrialAsk, TrialTalk } from "./trial-talk.ts";

export interface Trial {
  readonly clientId: string;
  readonly accountId: string;
  readonly type: ClientType;
  readonly scope: string;
  /** The API that the token is for; absent: the server's own. */
  readonly resource?: string;
  /** `waiting`: for the person or the device; `failed`: the last answer says why. */
  readonly phase: "waiting" | "done" | "failed" | "ended";
  readonly exchanges: readonly Exchange[];
  /** What the application would keep from the authorization request to the token request. */
  readonly kept?: { readonly state: string; readonly nonce: string; readonly verifier: string };
  readonly device?: { readonly deviceCode: string; readonly userCode: string; readonly link: string; readonly interval: number };
  readonly tokens?: { readonly access?: string; readonly id?: string; readonly refresh?: string };
  /** The private half of the run's own DPoP key, as a JWK, where the application's tokens are bound to one. */
  readonly key?: Readonly<Record<string, unknown>>;
}

export interface TrialStart {
  readonly client: ClientRecord;
  readonly accountId: string;
  /** An API of which the application has scopes. */
  readonly resource?: string | undefined;
  /** Those of it. */
  readonly resourceScopes?: readonly string[];
  /** Network address. */
  readonly address: string;
}

export interface TrialRuns {
  /** @returns the run's name, which is for the browser that began it alone, and where the person goes on; without it: to the run's page */
  begin(start: TrialStart): Promise<{ id: string; goOn?: string }>;
  find(id: string, clientId: string, accountId: string): Promise<Trial | undefined>;
  /** The person is back with these parameters. @returns false when they are not this run's, which then stays as it is */
  comeBack(id: string, trial: Trial, client: ClientRecord, params: URLSearchParams, address: string): Promise<boolean>;
  /** Asks for a device's tokens. */
  poll(id: string, trial: Trial, client: ClientRecord, address: string): Promise<void>;
  /** Uses the refresh token. */
  refresh(id: string, trial: Trial, client: ClientRecord, address: string): Promise<void>;
  /** Ends what the run was given: the grant with a refresh token, else the access token. */
  end(id: string, trial: Trial, client: ClientRecord, address: string): Promise<void>;
}

export interface TrialOptions {
  issuer: string;
  states: TrialStates;
  records: Pick<RecordStore, "read" | "commit" | "areAlive">;
  sealer: Pick<Sealer, "seal" | "open">;
  ask: TrialAsk;
  /** Milliseconds since the epoch. */
  now?: () => number;
}

const random = (): string => randomBytes(32).toString("base64url");
const sha256 = (value: string): string => createHash("sha256").update(value).digest("base64url");
const keyOf = (id: string): RecordKey => `trial:${sha256(id)}`;

/** What an application may ask for without naming an API. */
const ALL_OPENID = "openid profile email";

export function createTrials({ issuer, states, records, sealer, ask, now = Date.now }: TrialOptions): TrialRuns {
  const cameBack = firstComers(records, "trial came back");
  const talk = (client: ClientRecord, trial: Trial, address: string) => new TrialTalk({ issuer, client, trial, ask, address });

  async function save(id: string, trial: Trial): Promise<void> {
    const key = keyOf(id);
    await records.commit([{ op: "put", key, body: sealer.seal(JSON.stringify(trial), key), expiresAt: now() + TRIAL_LIFE * 1000 }]);
  }

  /** Takes what a token endpoint gave, and looks at userinfo where the token is for it. */
  async function withTokens(trial: Trial, talking: TrialTalk, answer: Record<string, unknown> | undefined): Promise<Trial> {
    const exchanges = talking.exchanges;
    if (answer === undefined) return { ...trial, exchanges, phase: "failed" };
    const [access, id, refresh] = ["access_token", "id_token", "refresh_token"].map((name) =>
      typeof answer[name] === "string" ? (answer[name] as string) : undefined,
    );
    if (access !== undefined && trial.resource === undefined && splitScope(String(answer.scope ?? trial.scope)).includes("openid"))
      await talking.userinfo(access);
    const tokens = {
      ...(access !== undefined && { access }),
      ...((id ?? trial.tokens?.id) !== undefined && { id: (id ?? trial.tokens?.id) as string }),
      ...((refresh ?? trial.tokens?.refresh) !== undefined && { refresh: (refresh ?? trial.tokens?.refresh) as string }),
    };
    return { ...trial, exchanges: talking.exchanges, tokens, phase: "done" };
  }

  return {
    async begin({ client, accountId, resource, resourceScopes = [], address }) {
      const id = random();
      const type = clientType(client.metadata);
      const registered = splitScope(client.metadata.scope ?? ALL_OPENID);
      const scopes = [...(type === "service" ? [] : registered.filter(isOpenIdScope)), ...resourceScopes];
      const trial: Trial = {
        ...{ clientId: client.clientId, accountId, type, phase: "waiting", exchanges: [], scope: joinScope(scopes) },
        ...(resource !== undefined && { resource }),
        ...(client.metadata.dpop_bound_access_tokens === true && { key: await TrialTalk.newKey() }),
      };
      const talking = talk(client, trial, address);
      const wanted = { ...(trial.scope !== "" && { scope: trial.scope }), ...(resource !== undefined && { resource }) };

      if (type === "service") {
        const answer = await talking.token("token", { grant_type: "client_credentials", ...wanted });
        await save(id, await withTokens(trial, talking, answer));
        return { id };
      }
      if (type === "device") {
        const device = await talking.device(wanted);
        await save(id, { ...trial, exchanges: talking.exchanges, ...(device === undefined ? { phase: "failed" as const } : { device }) });
        return { id };
      }
      const kept = { state: states.make(client.clientId, sha256(id)), nonce: random(), verifier: random() };
      const params = {
        client_id: client.clientId,
        response_type: "code",
        redirect_uri: states.callback(client.clientId),
        ...wanted,
        state: kept.state,
        nonce: kept.nonce,
        code_challenge: sha256(kept.verifier),
        code_challenge_method: "S256",
        prompt: "consent", // the owner sees what everybody sees at their first visit
      };
      const goOn = await talking.authorize(params, client.metadata.require_pushed_authorization_requests === true);
      await save(id, { ...trial, kept, exchanges: talking.exchanges, ...(goOn === undefined && { phase: "failed" as const }) });
      return { id, ...(goOn !== undefined && { goOn }) };
    },

    async find(id, clientId, accountId) {
      const key = keyOf(id);
      const stored = await records.read(key);
      if (stored === undefined) return undefined;
      try {
        const trial = JSON.parse(sealer.open(stored.body, key)) as Trial;
        return trial.clientId === clientId && trial.accountId === accountId ? trial : undefined;
      } catch {
        return undefined; // sealed under a secret that was taken away
      }
    },

    async comeBack(id, trial, client, params, address) {
      if (trial.phase !== "waiting" || trial.kept === undefined || params.get("state") !== trial.kept.state) return false;
      // A browser that asks twice has one code, which must not be shown twice: that would end what it gives.
      if (!(await cameBack.note(id, now() + TRIAL_LIFE * 1000))) return true;
      const talking = talk(client, trial, address);
      talking.callback(params, states.callback(client.clientId));
      const code = params.get("code");
      if (code === null) {
        await save(id, { ...trial, exchanges: talking.exchanges, phase: "failed" });
        return true;
      }
      const answer = await talking.token("token", {
        grant_type: "authorization_code",
        code,
        redirect_uri: states.callback(client.clientId),
        code_verifier: trial.kept.verifier,
        ...(trial.resource !== undefined && { resource: trial.resource }),
      });
      await save(id, await withTokens(trial, talking, answer));
      return true;
    },

    async poll(id, trial, client, address) {
      if (trial.phase !== "waiting" || trial.device === undefined) return;
      const talking = talk(client, trial, address);
      const answer = await talking.token("poll", { grant_type: DEVICE_CODE_GRANT, device_code: trial.device.deviceCode });
      const waits = answer === undefined && /^(?:authorization_pending|slow_down)$/.test(talking.lastError ?? "");
      await save(id, waits ? { ...trial, exchanges: talking.exchanges } : await withTokens(trial, talking, answer));
    },

    async refresh(id, trial, client, address) {
      const token = trial.tokens?.refresh;
      if (trial.phase !== "done" || token === undefined) return;
      const talking = talk(client, trial, address);
      const answer = await talking.token("refresh", { grant_type: "refresh_token", refresh_token: token });
      await save(id, await withTokens(trial, talking, answer));
    },

    async end(id, trial, client, address) {
      const { refresh, access } = trial.tokens ?? {};
      const talking = talk(client, trial, address);
      // RFC 7009 §2.1: with a refresh token goes everything that came of the same grant.
      for (const token of [refresh, access]) if (token !== undefined) await talking.revoke(token);
      await save(id, { ...trial, exchanges: talking.exchanges, phase: "ended" });
    },
  };
}
