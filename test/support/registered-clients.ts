/** Applications that register themselves at a Grantor that runs, and what they do with their registration. */
import type { Flow } from "./flows.ts";
import type { SeededClient } from "./grantor.ts";

export const CALLBACK = "https://app.example/callback";
export const WEB = { client_name: "Registered", redirect_uris: [CALLBACK], grant_types: ["authorization_code", "refresh_token"] };

export interface Registered extends Record<string, unknown> {
  client_id: string;
  client_secret?: string;
  registration_access_token: string;
  registration_client_uri: string;
}

/** A registration that is asked for. */
export const send = (flow: Flow, metadata: unknown, token?: string, init: RequestInit = {}) =>
  fetch(`${flow.grantor.url}/oauth/register`, {
    method: "POST",
    body: typeof metadata === "string" ? metadata : JSON.stringify(metadata),
    ...init,
    headers: { "Content-Type": "application/json", ...(token !== undefined && { Authorization: `Bearer ${token}` }), ...init.headers },
  });

/** What a registered client does with its registration (RFC 7592). */
export const manage = (client: Registered, method: string, metadata?: unknown, token = client.registration_access_token) =>
  fetch(client.registration_client_uri, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(metadata !== undefined && { "Content-Type": "application/json" }) },
    ...(metadata !== undefined && { body: JSON.stringify(metadata) }),
  });

export const seeded = (client: Registered): SeededClient => ({
  client_id: client.client_id,
  redirect_uri: CALLBACK,
  ...(client.client_secret !== undefined && { client_secret: client.client_secret }),
});
