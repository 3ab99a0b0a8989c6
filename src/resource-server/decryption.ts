/** Access tokens that are encrypted to a resource server (RFC 7516): a signed token inside. */
import { type CompactJWEHeaderParameters, compactDecrypt, type JWK } from "jose";
import { Refusal } from "./refusal.ts";

/** With a public key; never a password, whose derivation costs what the token says. */
const KEY_ALGORITHMS = ["RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"];
const JWS_PARTS = 3;

/**
 * @param keys private; the header's `kid` chooses among several
 * @returns a function that gives the signed token in an encrypted one, and any other as it is; throws Refusal
 * @throws TypeError when one is no private key
 */
export function createDecryption(keys: readonly JWK[]): (token: string) => string | Promise<string> {
  if (keys.some(({ d }) => typeof d !== "string")) throw new TypeError("decryptionKey: a private key as JSON Web Key (RFC 7517)");
  const keyFor = ({ kid }: CompactJWEHeaderParameters): JWK => (keys.find((key) => key.kid === kid) ?? keys[0]) as JWK;
  const decrypt = async (token: string): Promise<string> => {
    try {
      const { plaintext } = await compactDecrypt(token, keyFor, { keyManagementAlgorithms: KEY_ALGORITHMS });
      return new TextDecoder().decode(plaintext);
    } catch (cause) {
      throw new Refusal("invalid_token", "the access token cannot be decrypted here", { cause });
    }
  };
  return (token) => (token.split(".", JWS_PARTS + 1).length > JWS_PARTS && keys.length > 0 ? decrypt(token) : token);
}
