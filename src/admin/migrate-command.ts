/** `grantor migrate` */
import type { Command } from "commander";
import { leaf, type Run } from "./commands.ts";

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
