/** Accounts with a password and applications, as many as is said, made by the database itself: names as people have them, some words that are common and some that are rare. */
import pg from "pg";

export interface Filling {
  accounts: number;
  clients: number;
}

/** Accounts whose addresses are at `late.example`: the last that were made, so that who reads in order of creation meets them at the end alone. */
const LATE_ACCOUNTS = 60_000;
export const RARE_WORD = "quetzalcoatl";

const FIRST =
  "ann bea carl dora emil fay gus hana ivo jana kai lena mia nils olga paul quinn rosa sami tara ulla vera wim xenia yara zoe".split(" ");
const LAST =
  "adler bauer costa diaz evans fischer garcia haas ito jansen khan lopez meyer novak olsen perez rossi silva tanaka weber".split(" ");

const words = (list: readonly string[]) => `(ARRAY['${list.join("','")}'])`;
/** 128 bits that follow from a number, as ids look. */
const id = (prefix: string) => `'${prefix}' || translate(encode(decode(md5('${prefix}' || i), 'hex'), 'base64'), '+/=', 'xy')`;
const name = `initcap(${words(FIRST)}[1 + i % ${FIRST.length}] || ' ' || ${words(LAST)}[1 + (i / ${FIRST.length}) % ${LAST.length}])`;
/** One a minute. */
const at = "timestamptz '2024-01-01' + i * interval '1 minute'";

/** Adds them to a database that has its tables. @param url connection string, of a session without a statement timeout */
export async function fill(url: string, { accounts, clients }: Filling): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // Nothing here can break a reference: looking each one up would take most of the time.
    await client.query("SET synchronous_commit = off; SET session_replication_role = replica");
    await client.query(
      `INSERT INTO account (id, email, email_verified, name, created_at, updated_at)
       SELECT ${id("a")}, lower(replace(${name}, ' ', '.')) || i || '@' ||
         CASE WHEN i > $1 - ${LATE_ACCOUNTS} THEN 'late.example' WHEN i % 3 = 0 THEN 'mail.example' ELSE 'example.com' END,
         i % 10 > 0, CASE i WHEN $1 / 2 THEN 'Ann ${RARE_WORD}' ELSE ${name} END, ${at}, ${at}
       FROM generate_series(1, $1::int) AS i`,
      [accounts],
    );
    await client.query(
      `INSERT INTO credential (id, account_id, kind, secret, updated_at)
       SELECT ${id("p")}, ${id("a")}, 'password', '$argon2id$v=19$m=19456,t=2,p=1$' || md5(i::text) || '$' || md5('h' || i), ${at}
       FROM generate_series(1, $1::int) AS i`,
      [accounts],
    );
    await client.query("INSERT INTO role (name) VALUES ('staff') ON CONFLICT DO NOTHING");
    await client.query(
      `INSERT INTO account_role (account_id, role_name) SELECT ${id("a")}, 'staff' FROM generate_series(1000, $1::int, 1000) AS i`,
      [accounts],
    );
    await client.query(
      `INSERT INTO client (id, metadata, created_by, created_at, updated_at)
       SELECT ${id("c")}, jsonb_build_object('client_name', CASE i WHEN $1 / 2 THEN '${RARE_WORD} shop' ELSE ${name} || ' app ' || i END,
           'redirect_uris', jsonb_build_array('https://app' || i || '.example/cb'), 'grant_types', '["authorization_code","refresh_token"]'::jsonb,
           'response_types', '["code"]'::jsonb, 'token_endpoint_auth_method', 'none', 'application_type', 'web', 'scope', 'openid profile'),
         'operator', ${at}, ${at}
       FROM generate_series(1, $1::int) AS i`,
      [clients],
    );
    await client.query("VACUUM ANALYZE");
  } finally {
    await client.end();
  }
}
