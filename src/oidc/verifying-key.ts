import type { KeyObject } from "node:crypto";
import { ExternalSigningKey } from "oidc-provider";
import type { EarlierKey } from "./ports.ts";

/**
 * A key that signs no more. The engine insists on private halves in its `jwks`, unless somebody else signs with the key; here nobody does: it
 * comes after the keys that sign, of which the engine takes the first.
 */
export class VerifyingKey extends ExternalSigningKey {
  readonly #key: EarlierKey;

  constructor(key: EarlierKey) {
    super();
    this.#key = key;
  }

  override get kid(): string {
    return this.#key.kid;
  }

  override get alg(): string {
    return this.#key.alg;
  }

  override keyObject(): KeyObject {
    return this.#key.publicKey;
  }
}
