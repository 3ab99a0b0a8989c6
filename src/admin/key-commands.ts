/** `grantor keys …` and `grantor migrate` */
import type { Command } from "commander";
import { leaf, type Run } from "./commands.ts";
import { numericDate, table, time } from "./output.ts";

export function addKeyCommands(keys: Command, run: Run): void {
  leaf(keys, "list", "list signing keys, newest first").action(
    run(async (services) => {
      const { listSigningKeys } = await import("../keys/signing-keys.ts");
      const all = await listSigningKeys(await services.database());
      return {
        json: {
          keys: all.map(({ kid, alg, state, createdAt, activatedAt, retiredAt }) => ({
            kid,
            alg,
            use: "sig",
            state,
            created_at: numericDate(createdAt),
            ...(activatedAt !== undefined && { activated_at: numericDate(activatedAt) }),
            ...(retiredAt !== undefined && { retired_at: numericDate(retiredAt) }),
          })),
        },
        text: table(
          all.map((key) => [
            ["kid", key.kid],
            ["alg", key.alg],
            ["state", key.state],
            ["created", time(key.createdAt)],
            ["signs since", time(key.activatedAt)],
            ["retired", time(key.retiredAt)],
          ]),
          "There are no keys yet: the server makes them at its first start.",
        ),
      };
    }),
  );
}

export function addMigrate(program: Command, run: Run): void {
  leaf(program, "migrate", "bring the database up to this release; a server does so by itself when it starts").action(
    run(async (services) => {
      const { applied } = await services.database();
      return {
        json: { applied },
        text: applied.length === 0 ? "The database is up to date." : `Applied ${applied.join(", ")}.`,
      };
    }),
  );
}
