/** An account in a file: what of it is there, and what a file may not say of one. */
import { z } from "zod";
import { checkDetails } from "../accounts/account-store.ts";
import { checkEmail, normalizeEmail } from "../accounts/email-address.ts";
import { english } from "../i18n/messages.ts";
import { bigNumber, bytes, id, json, moment, words } from "./noun.ts";

const MOST = 1_000;
const many = <Shape extends z.ZodRawShape>(shape: Shape) => z.array(z.strictObject(shape)).max(MOST);

/** OIDC Core §2. */
const subject = () => z.string().regex(/^[\x20-\x7e]{1,255}$/, "must be at most 255 characters of ASCII");

export const accountShape = {
  id: id(),
  email: words(254),
  emailVerified: z.boolean(),
  name: words(500).nullable(),
  claims: json(),
  disabledAt: moment().nullable(),
  deleteAt: moment().nullable(),
  createdAt: moment(),
  updatedAt: moment(),
  credentials: many({
    kind: words(20),
    secret: words(1_000),
    standsAlone: z.boolean(),
    usedStep: bigNumber().nullable(),
    lastUsedAt: moment().nullable(),
    createdAt: moment(),
    updatedAt: moment(),
  }),
  passkeys: many({
    id: z.string().regex(/^[\w-]{1,1364}$/, "must be base64url"), // WebAuthn §4: at most 1023 bytes
    publicKey: bytes(4_096),
    counter: bigNumber(),
    rpId: words(255),
    transports: z.array(words(40)).max(20),
    backedUp: z.boolean(),
    aaguid: words(40).nullable(),
    name: words(500),
    createdAt: moment(),
    lastUsedAt: moment().nullable(),
  }),
  recoveryCodes: many({ hash: words(100), usedAt: moment().nullable(), createdAt: moment() }),
  identities: many({ issuer: words(500), subject: subject(), label: words(500), createdAt: moment(), lastUsedAt: moment().nullable() }),
  roles: many({ roleName: words(64), grantedAt: moment() }),
  consents: many({ clientId: id(), scopes: json(), lastUsedAt: moment().nullable(), createdAt: moment(), updatedAt: moment() }),
  applications: many({ clientId: id(), createdAt: moment() }),
};
export const accountSchema = z.strictObject(accountShape);
export type AccountRow = z.infer<typeof accountSchema>;

/** An argon2id PHC string whose verification costs no more than the settings allow to ask for. */
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,128}\$[A-Za-z0-9+/]{22,256}$/;
const MOST_MEMORY = 1_048_576; // KiB
const MOST_PASSES = 20;
const MOST_LANES = 16;

/** What a schema cannot say; sentences. */
export function accountFaults({ email, name, claims, roles, credentials, recoveryCodes, consents, applications }: AccountRow): string[] {
  const [password, ...others] = credentials;
  if (others.length > 0 || (password !== undefined && password.kind !== "password")) return ["credentials: may hold one password alone"];
  const [, memory, passes, lanes] = PHC.exec(password?.secret ?? "")?.map(Number) ?? [];
  const isCostly = (memory ?? 0) > MOST_MEMORY || (passes ?? 0) > MOST_PASSES || (lanes ?? 0) > MOST_LANES;
  if (password !== undefined && (memory === undefined || isCostly))
    return ["credentials: the password is no argon2id hash that may be asked for"];
  if (normalizeEmail(email) !== email) return ["email: is not in the form in which addresses are kept"];
  if (typeof claims !== "object" || claims === null || Array.isArray(claims)) return ["claims: must be an object"];
  const twice = Object.entries({
    roles: roles.map(({ roleName }) => roleName),
    recoveryCodes: recoveryCodes.map(({ hash }) => hash),
    consents: consents.map(({ clientId }) => clientId),
    applications: applications.map(({ clientId }) => clientId),
  }).find(([, keys]) => new Set(keys).size < keys.length);
  if (twice !== undefined) return [`${twice[0]}: hold something twice`];
  const details = checkDetails({ name, claims: claims as Record<string, unknown>, roles: roles.map(({ roleName }) => roleName) });
  return [...checkEmail(email), ...details].map(({ field, message }) => `${field}: ${english(message)}`);
}
