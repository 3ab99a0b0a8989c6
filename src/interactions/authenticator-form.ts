/** What the form for an authenticator app shows, wherever it stands. */

import { qrCode } from "../factors/qr-code.ts";
import type { TotpSetUp } from "../factors/totp.ts";
import type { AuthenticatorView } from "../http/pages.ts";

export async function authenticatorView({ secret, uri }: TotpSetUp): Promise<AuthenticatorView> {
  return { qrCode: await qrCode(uri), secret: (secret.match(/.{1,4}/g) ?? []).join(" "), uri };
}
