/** What the metrics read when somebody asks: how much waits, how old the keys are, whether the audit log is sealed. */
import type { KeySnapshot } from "../keys/signing-keys.ts";
import type { Sample } from "../observability/metrics.ts";
import type { Services } from "../open-services.ts";

export function observeServices({ metrics, database, keys, people, audit }: Services): void {
  const { pool } = database;
  metrics.observe({
    name: "sql_connections",
    help: "Connections to PostgreSQL",
    labelNames: ["state"],
    together: "sum",
    read: () => [
      { labels: { state: "idle" }, value: pool.idleCount },
      { labels: { state: "used" }, value: pool.totalCount - pool.idleCount },
    ],
  });
  metrics.observe({
    name: "sql_waiting",
    help: "Callers that wait for a connection to PostgreSQL",
    together: "sum",
    read: () => [{ value: pool.waitingCount }],
  });
  metrics.observe({
    name: "password_hash_waiting",
    help: "Password hashes that wait for a thread",
    together: "sum",
    read: () => [{ value: people.passwords.waiting() }],
  });
  metrics.observe({
    name: "mail_waiting",
    help: "Mails on their way",
    together: "sum",
    read: () => [{ value: people.mailer.waiting() }],
  });
  metrics.observe({
    name: "signing_key_age_seconds",
    help: "Since the oldest key of an algorithm came into a state: next (published), current (signs), retired",
    labelNames: ["alg", "state"],
    together: "max",
    read: () => keyAges(keys.snapshot().keys, Date.now()),
  });
  metrics.observe({
    name: "status_lists",
    help: "Status lists: open ones take in new tokens",
    labelNames: ["state"],
    together: "max",
    async read() {
      const { rows } = await pool.query<{ open: number; closed: number }>(
        "SELECT count(*) FILTER (WHERE closes_at > now())::int AS open, count(*) FILTER (WHERE closes_at <= now())::int AS closed FROM status_list WHERE expires_at > now()",
      );
      return Object.entries(rows[0] ?? {}).map(([state, value]) => ({ labels: { state }, value }));
    },
  });
  metrics.observe({
    name: "audit_events_waiting",
    help: "Events that are not in the database yet",
    together: "sum",
    read: () => [{ value: audit.waiting() }],
  });
  metrics.observe({
    name: "audit_unsealed_age_seconds",
    help: "Since the oldest event that is not sealed yet; 0: all are",
    together: "max",
    async read() {
      const { rows } = await pool.query<{ age: number }>(
        "SELECT coalesce(extract(epoch FROM now() - min(at)), 0)::float8 AS age FROM audit_event WHERE batch IS NULL",
      );
      return rows.map(({ age }) => ({ value: Math.max(0, age) }));
    },
  });
}

/** One for each algorithm and state: of the oldest key. */
function keyAges(keys: KeySnapshot["keys"], now: number): Sample[] {
  const ages = new Map<string, Sample>();
  for (const { alg, state, createdAt, activatedAt, retiredAt } of keys) {
    const since = { next: createdAt, current: activatedAt, retired: retiredAt }[state as string] ?? createdAt;
    const value = Math.max(0, (now - since.getTime()) / 1000);
    if (value >= (ages.get(`${alg} ${state}`)?.value ?? 0)) ages.set(`${alg} ${state}`, { labels: { alg, state }, value });
  }
  return [...ages.values()];
}
