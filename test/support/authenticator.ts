/** An authenticator in software (WebAuthn §6), with keys and signatures of its own: what a browser would hand to a page. It can also do what none must. */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from "@simplewebauthn/server";
import { isoCBOR } from "@simplewebauthn/server/helpers";

/** COSE algorithms. */
export type Algorithm = -7 | -8 | -257;

/** What an answer says in place of what is true. */
export interface Untruths {
  origin?: string;
  rpId?: string;
  userVerified?: boolean;
  counter?: number;
  /** base64url; "" for none. */
  userHandle?: string;
  /** base64url. */
  credentialId?: string;
  challenge?: string;
  type?: string;
}

interface Credential {
  readonly id: string;
  readonly rpId: string;
  readonly userHandle: string;
  readonly privateKey: KeyObject;
  readonly algorithm: Algorithm;
  counter: number;
}

const [USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED] = [0x01, 0x04, 0x08, 0x10, 0x40];

export interface AuthenticatorOptions {
  /** Where the browser is. */
  origin: string;
  algorithm?: Algorithm;
  /** Copies its passkeys to other devices. */
  synced?: boolean;
  /** Counts signatures; those that sync do not. */
  counts?: boolean;
}

export class Authenticator {
  readonly credentials: Credential[] = [];
  readonly #options: Required<AuthenticatorOptions>;

  constructor(options: AuthenticatorOptions) {
    this.#options = { algorithm: -7, synced: false, counts: !options.synced, ...options };
  }

  /** `navigator.credentials.create()`. @returns JSON, as a page posts it */
  create(options: PublicKeyCredentialCreationOptionsJSON, untruths: Untruths = {}): string {
    const { algorithm, counts } = this.#options;
    const { privateKey, cose } = newKey(algorithm);
    const id = untruths.credentialId ?? randomBytes(32).toString("base64url");
    const rpId = untruths.rpId ?? options.rp.id ?? "";
    const credential = { id, rpId, userHandle: options.user.id, privateKey, algorithm, counter: counts ? 1 : 0 };
    this.credentials.push(credential);
    const idBytes = Buffer.from(id, "base64url");
    const length = Buffer.alloc(2);
    length.writeUInt16BE(idBytes.length);
    const attested = Buffer.concat([Buffer.alloc(16), length, idBytes, isoCBOR.encode(cose)]);
    const authData = Buffer.concat([this.#data(credential, untruths, ATTESTED), attested]);
    const object = new Map<string, unknown>([
      ["fmt", "none"],
      ["attStmt", new Map()],
      ["authData", Uint8Array.from(authData)],
    ]);
    return JSON.stringify({
      id,
      rawId: id,
      type: "public-key",
      response: {
        clientDataJSON: this.#clientData("webauthn.create", options.challenge, untruths),
        attestationObject: Buffer.from(isoCBOR.encode(object as never)).toString("base64url"),
        transports: ["internal"],
      },
      clientExtensionResults: {},
    });
  }

  /** `navigator.credentials.get()`, with the newest passkey. @returns JSON, as a page posts it */
  get(options: PublicKeyCredentialRequestOptionsJSON, untruths: Untruths = {}): string {
    const credential = this.credentials.at(-1);
    if (credential === undefined) throw new Error("this authenticator has no passkey");
    if (this.#options.counts) credential.counter += 1;
    const authData = this.#data(credential, untruths, 0);
    const clientDataJSON = this.#clientData("webauthn.get", options.challenge, untruths);
    const hash = createHash("sha256").update(Buffer.from(clientDataJSON, "base64url")).digest();
    const digest = credential.algorithm === -8 ? null : "sha256";
    const userHandle = untruths.userHandle ?? credential.userHandle;
    return JSON.stringify({
      id: untruths.credentialId ?? credential.id,
      rawId: untruths.credentialId ?? credential.id,
      type: "public-key",
      response: {
        clientDataJSON,
        authenticatorData: authData.toString("base64url"),
        signature: sign(digest, Buffer.concat([authData, hash]), credential.privateKey).toString("base64url"),
        ...(userHandle !== "" && { userHandle }),
      },
      clientExtensionResults: {},
    });
  }

  #data(
    credential: Credential,
    { rpId = credential.rpId, userVerified = true, counter = credential.counter }: Untruths,
    more: number,
  ): Buffer {
    const backup = this.#options.synced ? BACKUP_ELIGIBLE | BACKED_UP : 0;
    const rest = Buffer.alloc(5);
    rest.writeUInt8(USER_PRESENT | (userVerified ? USER_VERIFIED : 0) | backup | more);
    rest.writeUInt32BE(counter, 1);
    return Buffer.concat([createHash("sha256").update(rpId).digest(), rest]);
  }

  #clientData(type: string, challenge: string, untruths: Untruths): string {
    const data = { type, challenge, origin: this.#options.origin, crossOrigin: false };
    const said = { type: untruths.type ?? type, challenge: untruths.challenge ?? challenge, origin: untruths.origin ?? data.origin };
    return Buffer.from(JSON.stringify({ ...data, ...said })).toString("base64url");
  }
}

/** A key pair, and its public half as COSE says it (RFC 9053). */
function newKey(algorithm: Algorithm): { privateKey: KeyObject; cose: Map<number, number | Uint8Array> } {
  const pair =
    algorithm === -7
      ? generateKeyPairSync("ec", { namedCurve: "P-256" })
      : algorithm === -8
        ? generateKeyPairSync("ed25519")
        : generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = pair.publicKey.export({ format: "jwk" });
  const bytes = (value: string | undefined) => Uint8Array.from(Buffer.from(value ?? "", "base64url"));
  const common: [number, number][] = [
    [1, { [-7]: 2, [-8]: 1, [-257]: 3 }[algorithm]],
    [3, algorithm],
  ];
  const own: Record<Algorithm, [number, number | Uint8Array][]> = {
    [-7]: [
      [-1, 1],
      [-2, bytes(jwk.x)],
      [-3, bytes(jwk.y)],
    ],
    [-8]: [
      [-1, 6],
      [-2, bytes(jwk.x)],
    ],
    [-257]: [
      [-1, bytes(jwk.n)],
      [-2, bytes(jwk.e)],
    ],
  };
  return { privateKey: pair.privateKey, cose: new Map<number, number | Uint8Array>([...common, ...own[algorithm]]) };
}
