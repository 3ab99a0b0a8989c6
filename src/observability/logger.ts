/**
 * Observability: the structured log, business events, health. It knows no domain.
 *
 * The log is one JSON object a line on stdout, or readable lines when stdout is a terminal. No secret reaches it:
 * see redaction.ts for what that means.
 */
import { createRequire } from "node:module";
import { isatty } from "node:tty";
import pino from "pino";
import { logText, REDACTED, redactFields, redactText } from "./redaction.ts";

export type Logger = pino.Logger;
export type LogLevel = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";

export interface LogOptions {
  /** Where the log goes: 1 (stdout, the default) or 2 (stderr, for the command line), or a stream of the test's. */
  destination?: 1 | 2 | pino.DestinationStream;
}

/** Lines are gathered up to this size, so that a busy server makes few writes. */
const BUFFER_BYTES = 4096;
/** A line is on its way to stdout after this time at the latest. */
const FLUSH_MILLISECONDS = 100;

/** Header fields by path, beside the policy by name that redaction.ts applies at any depth. */
const REDACTED_PATHS = [
  "headers.authorization",
  "headers.cookie",
  'headers["set-cookie"]',
  "req.headers.authorization",
  "req.headers.cookie",
  'res.headers["set-cookie"]',
  "body.password",
  "form.password",
];

/**
 * The process's log. What is buffered for stdout is written when the process exits; `logger.flush()` writes it at once.
 * Terminals get readable lines when pino-pretty is installed.
 */
export function createLogger(config: { logLevel: LogLevel }, options: LogOptions = {}): Logger {
  const { destination = 1 } = options;
  const log = pino(
    {
      level: config.logLevel,
      redact: { paths: REDACTED_PATHS, censor: REDACTED },
      // redactFields has made plain data of errors; pino's own serializer would print all their properties.
      serializers: { err: (error: unknown) => error },
      formatters: { level: (label) => ({ level: label }), log: (fields) => redactFields(fields) },
      hooks: {
        streamWrite: redactText,
        logMethod(args, method) {
          method.apply(this, args.map((arg: unknown) => (typeof arg === "string" ? logText(arg) : arg)) as typeof args);
        },
      },
    },
    typeof destination === "number" ? openStream(destination) : destination,
  );
  // pino formats the fields of a line, but not those that a child is made with.
  const { child } = log;
  log.child = function redactingChild(this: Logger, bindings: pino.Bindings, childOptions?: object) {
    return child.call(this, redactFields(bindings), childOptions);
  } as typeof child;
  return log;
}

function openStream(fd: 1 | 2): pino.DestinationStream {
  const readable = isatty(fd) && readableStream(fd);
  if (readable) return readable;
  // A command has few lines, which stand before what it writes itself at its end.
  return fd === 2
    ? pino.destination({ fd, sync: true })
    : pino.destination({ fd, sync: false, minLength: BUFFER_BYTES, periodicFlush: FLUSH_MILLISECONDS });
}

/** pino-pretty in this thread: the last line before a crash must come out. `undefined` where it is not installed. */
function readableStream(fd: 1 | 2): pino.DestinationStream | undefined {
  try {
    const pretty = createRequire(import.meta.url)("pino-pretty") as typeof import("pino-pretty");
    return pretty({ destination: fd, sync: true, colorize: true, ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l" });
  } catch {
    return undefined;
  }
}
