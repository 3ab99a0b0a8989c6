/** What the commands of every noun have in common: how they answer, and how their options are read. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { OperatorServices } from "./operator-services.ts";

export interface Answer {
  /** For `--json`: in the field's own names. */
  readonly json: Readonly<Record<string, unknown>>;
  /** For people; empty: standard output holds something else. */
  readonly text: string;
  /** What the reader should also know; goes to stderr. */
  readonly notes?: readonly string[];
}

/** Makes commander's action of a command that is given the services, its arguments and its options. */
export type Run = <Args extends readonly unknown[]>(
  work: (services: OperatorServices, ...args: Args) => Promise<Answer>,
) => (...args: [...Args, Command]) => Promise<void>;

/** The command was used wrongly: the message is followed by its usage. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A command that does something, as opposed to one that only has commands below it. */
export function leaf(parent: Command, nameAndArguments: string, description: string): Command {
  return parent.command(nameAndArguments).description(description).option("--json", "print one JSON object");
}

/** An option that may be given several times. */
export const repeatable = (flags: string, description: string): Option =>
  new Option(flags, `${description} (repeatable)`).argParser((value: string, earlier: string[] | false | undefined) => [
    ...(earlier || []),
    value,
  ]);

export function positiveInteger(value: string): number {
  if (!/^[1-9]\d{0,14}$/.test(value)) throw new InvalidArgumentError("It must be a whole number above 0.");
  return Number(value);
}

/** As `positiveInteger`, and 0. */
export const wholeNumber = (value: string): number => {
  if (!/^(?:0|[1-9]\d{0,14})$/.test(value)) throw new InvalidArgumentError("It must be a whole number, or 0.");
  return Number(value);
};

export interface PageOptions {
  limit?: number;
  cursor?: string;
}

export function paged(command: Command): Command {
  return command
    .option("--limit <n>", "at most so many, up to 500", positiveInteger)
    .option("--cursor <cursor>", 'go on where an earlier list ended (its "next")');
}

export const moreNote = (next: string | undefined): Pick<Answer, "notes"> =>
  next === undefined ? {} : { notes: [`There are more: --cursor ${next}`] };
