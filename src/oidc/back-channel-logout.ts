/** OpenID Connect Back-Channel Logout 1.0, for sessions that end without the browser that they are in. */
import type { Provider } from "oidc-provider";

/** A session that has ended. */
interface Ended {
  readonly accountId: string | undefined;
  readonly clients: readonly { readonly clientId: string; readonly sid: string | undefined }[];
}

/** The engine's Client, beyond its published type. */
interface LogoutClient {
  readonly backchannelLogoutUri?: string | undefined;
  /** @throws when the application cannot be reached or does not take it */
  backchannelLogout(accountId: string, sid: string | undefined): Promise<void>;
}

/**
 * Sends a logout token (§2.4) to each application of a session that wants one (§2.5), all at once; an application that is gone is left out.
 * @param onFailure told of each that could not be told; this never throws
 */
export async function tellApplications(
  provider: Provider,
  { accountId, clients }: Ended,
  onFailure: (err: unknown, clientId: string) => void,
): Promise<void> {
  if (accountId === undefined) return;
  await Promise.all(
    clients.map(async ({ clientId, sid }) => {
      try {
        const client = (await provider.Client.find(clientId)) as unknown as LogoutClient | undefined;
        if (client?.backchannelLogoutUri !== undefined) await client.backchannelLogout(accountId, sid);
      } catch (err) {
        onFailure(err, clientId);
      }
    }),
  );
}
