/** Starts the server, or the command line when there is a command. */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

// Half of a start is compiling; where the directory cannot be written (as in the image) nothing is kept.
enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/grantor", import.meta.url)));

const [program, ...rest] = process.argv.slice(2);
if (program !== undefined) {
  const { runCommand } = await import("./admin/command-line.ts");
  process.exitCode = await runCommand(program === "grantor" ? rest : [program, ...rest]);
} else {
  const { runServer } = await import("./run-server.ts");
  process.exitCode = await runServer();
}
