/** `grantor keys …` */
import { type Command, Option } from "commander";
import { SIGNING_ALGS } from "../keys/algorithms.ts";
import type { RotationResult } from "../keys/key-rotation.ts";
import type { KeyState } from "../keys/key-schedule.ts";
import type { KeyOperations, SigningKeyView } from "../operations/key-operations.ts";
import { COMMAND_LINE } from "../operations/operator.ts";
import { leaf, type Run } from "./commands.ts";
import type { OperatorServices } from "./operator-services.ts";
import { numericDate, table, time } from "./output.ts";

interface RotateOptions {
  alg?: string;
  kid?: string;
  now?: boolean;
}

export function addKeyCommands(keys: Command, run: Run): void {
  leaf(keys, "list", "list signing keys, newest first, and what becomes of them").action(
    run(async (services) => {
      const all = await (await operations(services)).list();
      return {
        json: { keys: all.map(keyJson) },
        text: table(
          all.map((key) => [
            ["kid", key.kid],
            ["alg", key.alg],
            ["state", key.state],
            ["published", time(key.createdAt)],
            ["signs since", time(key.activatedAt)],
            ["until", time(key.revokedAt ?? key.retiredAt)],
            ["then", whatNext(key)],
          ]),
          "There are no keys yet: the server makes them at its first start.",
        ),
      };
    }),
  );

  leaf(keys, "rotate", "let the next keys sign: at once when they have been published for long enough, else as soon as they have")
    .addOption(new Option("--alg <alg>", "only the key of this algorithm").choices(SIGNING_ALGS))
    .addOption(new Option("--kid <kid>", "only this key; with --now also one that does not sign").conflicts("alg"))
    .option("--now", "the key is compromised: it is revoked at once, with everything that it has signed")
    .action(
      run(async (services, options: RotateOptions) => {
        const results = await (await operations(services)).rotate(COMMAND_LINE, options);
        return {
          json: { keys: results.map(resultJson) },
          text: results.map(resultText).join("\n"),
          notes: results.flatMap(warning),
        };
      }),
    );
}

async function operations(services: OperatorServices): Promise<KeyOperations> {
  const [{ createKeyOperations }, { keyPolicy }, { listSigningKeys }] = await Promise.all([
    import("../operations/key-operations.ts"),
    import("../keys/key-schedule.ts"),
    import("../keys/key-rows.ts"),
  ]);
  return createKeyOperations({
    list: async () => listSigningKeys(await services.database()),
    policy: keyPolicy(services.config),
    rotation: services.keyRotation,
    audit: services.audit,
  });
}

function keyJson(key: SigningKeyView): Record<string, unknown> {
  const { kid, alg, state, createdAt, activatedAt, replaceAt, retiredAt, publishedUntil, revokedAt, then } = key;
  return {
    kid,
    alg,
    use: "sig",
    state,
    created_at: numericDate(createdAt),
    ...(activatedAt !== undefined && { activated_at: numericDate(activatedAt) }),
    ...(replaceAt !== undefined && { replace_at: numericDate(replaceAt) }),
    ...(retiredAt !== undefined && { retired_at: numericDate(retiredAt) }),
    ...(publishedUntil !== undefined && { published_until: numericDate(publishedUntil) }),
    ...(revokedAt !== undefined && { revoked_at: numericDate(revokedAt) }),
    ...(then !== undefined && { next_state: then.state, next_state_at: numericDate(then.at) }),
  };
}

const BECOMES: Readonly<Partial<Record<KeyState, string>>> = { current: "signs", retired: "is replaced", expired: "leaves the JWKS" };

function whatNext({ then }: SigningKeyView): string | undefined {
  if (then === undefined) return undefined;
  return `${BECOMES[then.state]} ${then.at <= new Date() ? "in a moment, when a server runs" : time(then.at)}`;
}

function resultJson(result: RotationResult): Record<string, unknown> {
  const { outcome, alg, kid, previousKid } = result;
  const at = outcome === "scheduled" ? { at: numericDate(result.at) } : { known_everywhere_at: numericDate(result.everywhereFrom) };
  return { alg, outcome, kid, previous_kid: previousKid, ...at };
}

function resultText(result: RotationResult): string {
  const { alg, kid, previousKid } = result;
  switch (result.outcome) {
    case "scheduled":
      return `${alg}: ${kid} takes over from ${previousKid} at ${time(result.at)}, by itself while a server runs: it has to be published for longer.`;
    case "replaced":
      return `${alg}: ${kid} signs in place of ${previousKid}, which stays published until what it signed has expired.`;
    case "revoked":
      return `${alg}: ${previousKid} is revoked, with everything that it signed; ${kid} signs.`;
  }
}

/** A key that was published a moment ago is not in every cache yet. */
function warning(result: RotationResult): string[] {
  if (result.outcome !== "revoked" || result.everywhereFrom <= new Date()) return [];
  const until = time(result.everywhereFrom);
  return [
    `${result.alg}: the key that signs now was published only a moment ago. Until ${until}, APIs that do not look for unknown keys may refuse its tokens.`,
  ];
}
