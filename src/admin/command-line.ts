/** The command line: the program, and what its end means: 0 done, 1 it could not be done, 2 it was used wrongly. */
import { Command, CommanderError, Help } from "commander";
import { loadConfig, readEnvironment } from "../config.ts";
import { createLogger } from "../observability/logger.ts";
import { version } from "../observability/version.ts";
import { loadSecrets } from "../secrets.ts";
import { type Answer, type Run, UsageError } from "./commands.ts";
import { createOperatorServices, type OperatorServices } from "./operator-services.ts";
import { printable } from "./output.ts";

const FAILED = 1;
const WRONG_USE = 2;

/** Loaded when they are used: no command waits for the others. */
const NOUNS: readonly { name: string; description: string; add(command: Command, run: Run): Promise<void> }[] = [
  {
    name: "account",
    description: "people's accounts",
    add: async (command, run) => (await import("./account-commands.ts")).addAccountCommands(command, run),
  },
  {
    name: "role",
    description: "roles that accounts have, and what each permits",
    add: async (command, run) => (await import("./role-commands.ts")).addRoleCommands(command, run),
  },
  {
    name: "provider",
    description: "other providers at which people can sign in",
    add: async (command, run) => (await import("./provider-commands.ts")).addProviderCommands(command, run),
  },
  {
    name: "client",
    description: "applications",
    add: async (command, run) => (await import("./client-commands.ts")).addClientCommands(command, run),
  },
  {
    name: "resource",
    description: "APIs that tokens are for",
    add: async (command, run) => (await import("./resource-commands.ts")).addResourceCommands(command, run),
  },
  {
    name: "registration-token",
    description: "initial access tokens, with which applications register themselves",
    add: async (command, run) => (await import("./registration-token-commands.ts")).addRegistrationTokenCommands(command, run),
  },
  {
    name: "keys",
    description: "signing keys",
    add: async (command, run) => (await import("./key-commands.ts")).addKeyCommands(command, run),
  },
  {
    name: "audit",
    description: "the audit log: who did what, when, from where",
    add: async (command, run) => (await import("./audit-commands.ts")).addAuditCommands(command, run),
  },
  {
    name: "token",
    description: "tokens",
    add: async (command, run) => (await import("./token-commands.ts")).addTokenCommands(command, run),
  },
];

/**
 * Runs one command on the stores that the environment names, beside a running server or without one.
 * @param args what stands behind the program's name
 * @returns the exit status
 */
export async function runCommand(args: string[]): Promise<number> {
  process.stdout.on("error", ignoreClosedPipe);
  try {
    const program = await createProgram(args);
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE;
    process.stderr.write(`error: ${sentence(error)}\n`);
    return FAILED;
  }
}

async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command("grantor")
    .description("Looks after Grantor's accounts, applications, resources and keys, on the stores that the environment names.")
    .version(version(), "--version", "print the version")
    .helpOption("-h, --help", "print this")
    .helpCommand(false)
    .configureHelp({
      optionDescription: (option) => `${new Help().optionDescription(option)}${option.mandatory ? " (required)" : ""}`,
    })
    .showHelpAfterError()
    .exitOverride();
  for (const { name, description, add } of NOUNS) {
    const command = program.command(name).description(description).helpCommand(false);
    if (args.includes(name)) await add(command, run);
  }
  (await import("./migrate-command.ts")).addMigrate(program, run);
  (await import("./transfer-commands.ts")).addTransferCommands(program, run);
  return program;
}

const run: Run = (work) => {
  // commander gives the arguments, the options and the command itself.
  const action = async (...given: unknown[]): Promise<void> => {
    const command = given.pop() as Command;
    try {
      await withServices(async (services) => {
        const answer = await (work as unknown as (services: OperatorServices, ...args: unknown[]) => Promise<Answer>)(services, ...given);
        print(answer, command.opts().json === true);
      });
    } catch (error) {
      if (error instanceof UsageError) command.error(`error: ${error.message}`);
      throw error;
    }
  };
  return action;
};

async function withServices(work: (services: OperatorServices) => Promise<void>): Promise<void> {
  const env = readEnvironment();
  const config = loadConfig(env);
  const log = createLogger({ logLevel: env.LOG_LEVEL?.trim() ? config.logLevel : "warn" }, { destination: 2 });
  const services = createOperatorServices(config, () => loadSecrets(config, env), log);
  try {
    await work(services);
  } finally {
    await services.close();
  }
}

function print({ json, text, notes = [] }: Answer, asJson: boolean): void {
  if (asJson || text !== "") process.stdout.write(asJson ? `${JSON.stringify(json)}\n` : `${text}\n`);
  for (const note of notes) process.stderr.write(`${printableLines(note)}\n`);
}

/** What is useful to say of an error: rooms say it in their messages, some of which repeat a word of what was given. */
function sentence(error: unknown): string {
  const { error_description, message } = error as { error_description?: unknown; message?: unknown };
  return printableLines(String(error_description ?? message ?? error));
}

const printableLines = (text: string): string => text.split("\n").map(printable).join("\n");

/** `… | head` has read enough. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}
