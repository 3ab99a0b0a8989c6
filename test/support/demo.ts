/** `examples/demo.ts` as a child: the server, the example relying party and the example resource server on free ports. */
import { fileURLToPath } from "node:url";
import { type GuardedProcess, startGuarded } from "./guarded-process.ts";
import { freePort } from "./ports.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Demo {
  /** Where they answer. */
  readonly issuer: string;
  readonly app: string;
  readonly api: string;
  /** As it was printed. */
  readonly login: { email: string; password: string };
  readonly env: Record<string, string>;
  readonly process: GuardedProcess;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Resolves once it says where to go.
 * @param env beside PATH and free ports; `DATA_DIR` must be given
 * @param command what starts it, such as `["npm", "run", "demo"]`
 * @throws Error with the output when it ends before
 */
export async function startDemo(
  env: Record<string, string> & { DATA_DIR: string },
  command = [process.execPath, "examples/demo.ts"],
): Promise<Demo> {
  const [port, app, api] = [await freePort(), await freePort(), await freePort()];
  const all = { PATH: process.env.PATH ?? "", PORT: `${port}`, RP_PORT: `${app}`, API_PORT: `${api}`, ...env };
  const child = await startGuarded(command, { env: all, cwd: ROOT });
  await child.waitForOutput(/Ctrl-C ends/);
  const said = (pattern: RegExp): string => pattern.exec(child.output())?.[1] ?? "";
  return {
    issuer: said(/Grantor +(\S+)/),
    app: said(/Example application +(\S+)/),
    api: said(/Example resource server +(\S+)/),
    login: { email: said(/E-mail address +(\S+)/), password: said(/Password +(\S+)/) },
    env: all,
    process: child,
    async [Symbol.asyncDispose]() {
      child.signal("SIGTERM");
      const status = await child.exited;
      if (status !== 0) throw new Error(`The demo ended with ${status} after SIGTERM:\n${child.output()}`);
    },
  };
}
