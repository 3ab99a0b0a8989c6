/**
 * What is counted and timed, for whoever watches the server: one function for each thing that happens. None of them throws, and no label ever holds
 * an id or anything else that a stranger chooses: what is not known by name is `other`.
 *
 * Names follow https://prometheus.io/docs/practices/naming/; docs/metrics.md says what each is for.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** Seconds: from what is answered out of memory to what a client has given up. */
const REQUEST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Seconds: a store near by answers in less than one thousandth. */
const STORE_BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

const OTHER = "other";
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Codes of RFC 6749, 6750, 7009, 7591, 8628, 8693, 8707, 9126, 9449 and OpenID Connect, and our own. */
const ERROR_CODES = new Set([
  ...["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"],
  ...["access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable", "invalid_token", "insufficient_scope"],
  ...["invalid_redirect_uri", "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement"],
  ...["authorization_pending", "slow_down", "expired_token", "invalid_target", "invalid_dpop_proof", "use_dpop_nonce"],
  ...["interaction_required", "login_required", "account_selection_required", "consent_required", "invalid_request_uri"],
  ...["invalid_request_object", "request_not_supported", "request_uri_not_supported", "registration_not_supported"],
  ...["unsupported_token_type", "unmet_authentication_requirements", "not_found", "too_many_requests", "stale_form"],
]);

/** By their short names. */
const GRANT_TYPES: ReadonlyMap<unknown, string> = new Map([
  ["authorization_code", "authorization_code"],
  ["refresh_token", "refresh_token"],
  ["client_credentials", "client_credentials"],
  ["urn:ietf:params:oauth:grant-type:device_code", "device_code"],
  ["urn:ietf:params:oauth:grant-type:token-exchange", "token_exchange"],
]);

/** Values of one label that come from code alone; should one not, its first hundred are all that there are. */
const MOST_NAMES = 100;

export interface AnsweredRequest {
  readonly method: string;
  /** Its pattern, never its path; undefined: nobody answers there. */
  readonly route: string | undefined;
  readonly status: number;
  readonly seconds: number;
}

export interface Metrics {
  readonly registry: Registry;
  requestAnswered(request: AnsweredRequest): void;
  /** @param kind `access_token`, `refresh_token` or `id_token` */
  tokenIssued(grantType: unknown, kind: "access_token" | "refresh_token" | "id_token"): void;
  /** An endpoint of the protocol has refused a request. @param error the protocol's error code */
  refused(endpoint: string, error: unknown): void;
  /** What the audit log records, and from it sign-ins, consents and registrations. */
  eventRecorded(event: { event: string; outcome: string; detail?: Readonly<Record<string, unknown>> | undefined }): void;
  /** They are only in the log. */
  auditEventsLost(events: number): void;
  throttled(kind: string): void;
  mail(outcome: "sent" | "failed" | "dropped"): void;
  /** @param seconds that one operation of the store of sessions and tokens took */
  recordStoreTook(operation: string, seconds: number, failed: boolean): void;
  /** @param seconds that one statement took in the database */
  sqlTook(seconds: number, failed: boolean): void;
  /** A value that is read when somebody asks. One that cannot be read is left out of that answer. */
  observe(gauge: ObservedGauge): void;
  /** Of this process: memory, garbage collection, the event loop's delay, CPU. */
  watchProcess(): void;
}

export interface ObservedGauge {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
  /** What the values of several workers make: `sum` for what each has of its own, `max` for what all see the same. */
  readonly together: "sum" | "max";
  read(): Promise<readonly Sample[]> | readonly Sample[];
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** @param build of this program, for `grantor_build_info` */
export function createMetrics(build: { version: string }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `grantor_${name}`, help, labelNames: [...labelNames], registers });
  const histogram = <Label extends string>(name: string, help: string, labelNames: readonly Label[], buckets: number[]) =>
    new Histogram({ name: `grantor_${name}`, help, labelNames: [...labelNames], buckets, registers });

  const requests = counter("http_requests_total", "Answered requests", ["method", "route", "status"]);
  const durations = histogram("http_request_duration_seconds", "Until the answer was out", ["method", "route"], REQUEST_BUCKETS);
  const tokens = counter("tokens_issued_total", "Tokens, by the grant that they came from", ["grant_type", "kind"]);
  const refusals = counter("requests_refused_total", "Requests that an endpoint of the protocol refused", ["endpoint", "error"]);
  const events = counter("audit_events_total", "Events of the audit log", ["event", "outcome"]);
  const lostEvents = counter("audit_events_lost_total", "Events that are only in the log", []);
  const signIns = counter("sign_ins_total", "Sign-ins, and tries at one", ["outcome", "method"]);
  const consents = counter("consent_decisions_total", "Answers of people to what an application asks for", ["decision"]);
  const registrations = counter("registrations_total", "Accounts and applications that came into being", ["kind"]);
  const throttles = counter("throttled_total", "What was held up because there was too much of it", ["kind"]);
  const mails = counter("mail_total", "Mails", ["outcome"]);
  const records = histogram(
    "record_store_duration_seconds",
    "Operations of the store of sessions, grants and tokens",
    ["operation"],
    STORE_BUCKETS,
  );
  const recordFailures = counter("record_store_failures_total", "Operations of the store that failed", ["operation"]);
  const statements = histogram("sql_duration_seconds", "Statements in PostgreSQL", [], STORE_BUCKETS);
  const statementFailures = counter("sql_failures_total", "Statements in PostgreSQL that failed", []);
  new Gauge({
    name: "grantor_build_info",
    help: "Which release runs, on which Node",
    labelNames: ["version", "node"],
    aggregator: "first",
    registers,
  }).set({ version: build.version, node: process.versions.node }, 1);

  const routes = names();
  const endpoints = names();
  const eventNames = names();
  const outcomes = names();
  const methods = names();
  const kinds = names();
  const operations = names();

  return {
    registry,
    requestAnswered({ method, route, status, seconds }) {
      const labels = { method: METHODS.has(method) ? method : OTHER, route: route === undefined ? OTHER : routes(route) };
      requests.inc({ ...labels, status });
      durations.observe(labels, seconds);
    },
    tokenIssued: (grantType, kind) => tokens.inc({ grant_type: GRANT_TYPES.get(grantType) ?? OTHER, kind }),
    refused: (endpoint, error) =>
      refusals.inc({ endpoint: endpoints(endpoint), error: ERROR_CODES.has(error as string) ? (error as string) : OTHER }),
    eventRecorded({ event, outcome, detail = {} }) {
      events.inc({ event: eventNames(event), outcome: outcome === "success" ? "success" : "failure" });
      if (event === "sign_in") {
        const method = typeof detail.amr === "string" ? detail.amr.replaceAll(" ", "+") : "none";
        signIns.inc({ outcome: outcomes(String(detail.outcome)), method: methods(method) });
      } else if (event === "consent") consents.inc({ decision: outcome === "success" ? "allowed" : "denied" });
      else if (outcome === "success" && (event === "account.created" || event === "email.verified")) registrations.inc({ kind: "account" });
      else if (outcome === "success" && (event === "client.created" || event === "client.registered"))
        registrations.inc({ kind: "client" });
    },
    auditEventsLost: (events) => lostEvents.inc(events),
    throttled: (kind) => throttles.inc({ kind: kinds(kind) }),
    mail: (outcome) => mails.inc({ outcome }),
    recordStoreTook(operation, seconds, failed) {
      const labels = { operation: operations(operation) };
      records.observe(labels, seconds);
      if (failed) recordFailures.inc(labels);
    },
    sqlTook(seconds, failed) {
      statements.observe(seconds);
      if (failed) statementFailures.inc();
    },
    observe({ name, help, labelNames = [], together, read }) {
      new Gauge({
        name: `grantor_${name}`,
        help,
        labelNames: [...labelNames],
        aggregator: together,
        registers,
        async collect() {
          this.reset();
          try {
            const samples = await read();
            if (labelNames.length === 0 && samples.length === 0) this.remove();
            for (const { labels = {}, value } of samples) this.set(labels, value);
          } catch {
            if (labelNames.length === 0) this.remove(); // a store that is away: readiness tells of it
          }
        },
      });
    },
    watchProcess: () => collectDefaultMetrics({ register: registry }),
  };
}

/** Folds what does not look like a name of ours, and what comes after too many of them. */
function names(): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= MOST_NAMES || !/^[\w./:+()|*{}-]{1,100}$/.test(value)) return OTHER;
    known.add(value);
    return value;
  };
}
