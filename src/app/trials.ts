/** What the engine and the portal have in common for "Try it": requests that this server makes in an application's name. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Provider } from "oidc-provider";
import type { Trials } from "../clients/engine-client-adapter.ts";
import { createTrialStates, type TrialStates } from "../clients/trial-states.ts";
import { askInProcess, type InProcessAnswer, type InProcessRequest } from "../http/in-process.ts";
import { deriveKeys, type Secrets } from "../secrets.ts";
import { createSealer } from "../storage/seal.ts";

export interface TrialRequests {
  readonly states: TrialStates;
  /** For the engine. */
  readonly trials: Trials;
  /** Has the engine answer a request in a client's name, which nothing that comes from outside can be. */
  ask(
    handle: (request: IncomingMessage, response: ServerResponse) => void,
    clientId: string,
    request: InProcessRequest,
  ): Promise<InProcessAnswer>;
}

export function createTrialRequests(issuer: string, secrets: Secrets): TrialRequests {
  const states = createTrialStates(issuer, createSealer(deriveKeys(secrets, "grantor/trials")));
  /** The requests that this process has made itself. */
  const vouched = new WeakMap<IncomingMessage, string>();
  return {
    states,
    trials: {
      vouchesFor(clientId) {
        const request = Provider.ctx?.req;
        return request !== undefined && vouched.get(request) === clientId;
      },
      comesBack: (clientId, redirectUri) => states.allows(clientId, redirectUri, stateOf(Provider.ctx)),
    },
    ask: (handle, clientId, request) => askInProcess(handle, request, (made) => void vouched.set(made, clientId)),
  };
}

/** Of the authorization request at hand, also while the engine still reads it. */
function stateOf(ctx: typeof Provider.ctx): unknown {
  return (ctx?.oidc?.params ?? ctx?.query)?.state;
}
