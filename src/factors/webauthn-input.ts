/** What browsers post of a credential (WebAuthn §5.1): anybody can write it, so nothing of it is believed but its shape. */
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from "@simplewebauthn/server";
import { z } from "zod";

/** An answer, and the challenge that it says it is for. */
export interface Given<Response> {
  readonly response: Response;
  readonly challenge: string;
}

const base64url = z.string().regex(/^[\w-]+$/);
/** WebAuthn §4: a credential id has at most 1023 bytes. */
const credentialId = base64url.max(1364);
const common = { id: credentialId, rawId: credentialId, type: z.literal("public-key") };

const registration = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: base64url,
    /** WebAuthn §5.8.4: names that we may not know yet. They are stored. */
    transports: z
      .array(z.string().regex(/^[\w-]{1,32}$/))
      .max(8)
      .optional(),
  }),
});

const assertion = z.object({
  ...common,
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    /** WebAuthn §14.6.1: at most 64 bytes. Authenticators without one send nothing, or nothing in it. */
    userHandle: z
      .string()
      .regex(/^[\w-]{0,86}$/)
      .nullish()
      .transform((handle) => handle || undefined),
  }),
});

const clientData = z.object({ challenge: base64url });

/** @param json as it was posted  @returns undefined for what no browser sends */
export const readRegistration = (json: string): Given<RegistrationResponseJSON> | undefined => read(json, registration);

/** @param json as it was posted  @returns undefined for what no browser sends */
export const readAssertion = (json: string): Given<AuthenticationResponseJSON> | undefined => read(json, assertion);

function read<Response extends { response: { clientDataJSON: string } }>(json: string, shape: z.ZodType<Response>) {
  const response = shape.safeParse(parsed(json)).data;
  if (response === undefined) return undefined;
  const { data } = clientData.safeParse(parsed(Buffer.from(response.response.clientDataJSON, "base64url").toString()));
  return data && { response: { ...response, clientExtensionResults: {} } as never, challenge: data.challenge };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
