import type { Provider } from "oidc-provider";
import { clientExtras } from "../clients/engine-client-adapter.ts";
import { logoPath } from "../clients/logos.ts";
import type { ClientView } from "../http/page-parts.ts";
import { OWN_CLIENT_ID } from "./own-pages.ts";

/** The members of a client that a person is shown, in RFC 7591's names. */
export interface NamedClient {
  readonly clientId: string;
  readonly clientName?: string | undefined;
  readonly clientUri?: string | undefined;
  readonly logoUri?: string | undefined;
  readonly policyUri?: string | undefined;
  readonly tosUri?: string | undefined;
  readonly [member: string]: unknown;
}

/** The application that asks for something; none when a person came by themselves, through the client that stands for their own pages. */
export const askingClient = (client: NamedClient | undefined): ClientView | undefined =>
  client === undefined || client.clientId === OWN_CLIENT_ID ? undefined : clientView(client);

/** The application that began a sign-in which is still open. */
export async function clientOfInteraction(provider: Provider, uid: string): Promise<ClientView | undefined> {
  const interaction = await provider.Interaction.find(uid);
  const client = interaction && (await provider.Client.find(interaction.params.client_id as string));
  return askingClient(client as unknown as NamedClient | undefined);
}

/** An application as a page names it. */
export const clientView = (client: NamedClient): ClientView => ({
  name: client.clientName ?? client.clientId,
  clientUri: client.clientUri,
  logo: logoPath(client.clientId, client.logoUri, clientExtras(client)),
  policyUri: client.policyUri,
  tosUri: client.tosUri,
  verified: client.verified === true || client.first_party === true,
  color: client.brand_color as string | undefined,
});
