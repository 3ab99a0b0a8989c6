-- DropIndex
DROP INDEX "audit_event_at_idx";

-- DropIndex
DROP INDEX "consent_client_id_idx";

-- DropIndex
DROP INDEX "account_role_role_name_idx";

-- CreateFunction
-- What is searched and the question are cut into words in the same way, whatever the locale: at ASCII's spaces, signs and control characters.
CREATE FUNCTION "search_words"("said" TEXT) RETURNS TEXT[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  $$ SELECT array_remove(string_to_array(regexp_replace(lower(left(said, 1000)), '[\x01-\x2F\x3A-\x40\x5B-\x60\x7B-\x7F]+', ' ', 'g'), ' '), '') $$;

-- AlterTable
ALTER TABLE "account" ADD COLUMN     "search" tsvector
  GENERATED ALWAYS AS (array_to_tsvector(search_words("email" || ' ' || coalesce("name", '')))) STORED;

-- AlterTable
ALTER TABLE "audit_event" ADD COLUMN     "batch" BIGINT,
ADD COLUMN     "erased_at" TIMESTAMPTZ(3),
ADD COLUMN     "personal_hash" BYTEA,
ADD COLUMN     "position" INTEGER,
ADD COLUMN     "salt" BYTEA;

-- AlterTable
ALTER TABLE "client" ADD COLUMN     "last_used_at" TIMESTAMPTZ(3),
ADD COLUMN     "previous_secret_hash" TEXT,
ADD COLUMN     "previous_secret_until" TIMESTAMPTZ(3),
ADD COLUMN     "registration_limits" JSONB,
ADD COLUMN     "search" tsvector
  GENERATED ALWAYS AS (array_to_tsvector(search_words("id" || ' ' || coalesce("metadata"->>'client_name', '')))) STORED,
ADD COLUMN     "secret_created_at" TIMESTAMPTZ(3),
ADD COLUMN     "software_statement" TEXT;

-- AlterTable
ALTER TABLE "registration_token" ADD COLUMN     "limits" JSONB;

-- Whether they are used is noted from now on alone: none of them is taken for one that nobody ever used.
UPDATE "client" SET "last_used_at" = CURRENT_TIMESTAMP;

-- CreateTable
CREATE TABLE "client_owner" (
    "client_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "client_owner_pkey" PRIMARY KEY ("client_id","account_id")
);

-- CreateTable
CREATE TABLE "client_failure" (
    "id" BIGSERIAL NOT NULL,
    "client_id" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "endpoint" TEXT NOT NULL,
    "error" TEXT NOT NULL,
    "detail" JSONB NOT NULL DEFAULT '{}',
    "count" INTEGER NOT NULL DEFAULT 1,

    CONSTRAINT "client_failure_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_batch" (
    "number" BIGINT NOT NULL,
    "count" INTEGER NOT NULL,
    "first_at" TIMESTAMPTZ(3) NOT NULL,
    "last_at" TIMESTAMPTZ(3) NOT NULL,
    "events_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,
    "sealed_at" TIMESTAMPTZ(3) NOT NULL,
    "checkpoint" TEXT,
    "removed_at" TIMESTAMPTZ(3),

    CONSTRAINT "audit_batch_pkey" PRIMARY KEY ("number")
);

-- CreateTable
CREATE TABLE "idempotent_request" (
    "key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "status" INTEGER,
    "answer" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "idempotent_request_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE INDEX "account_role_role_name_account_id_idx" ON "account_role"("role_name", "account_id");

-- CreateIndex
CREATE INDEX "client_owner_account_id_idx" ON "client_owner"("account_id");

-- CreateIndex
CREATE INDEX "client_failure_client_id_at_idx" ON "client_failure"("client_id", "at");

-- CreateIndex
CREATE INDEX "client_failure_at_idx" ON "client_failure"("at");

-- CreateIndex
CREATE INDEX "audit_batch_last_at_idx" ON "audit_batch"("last_at");

-- CreateIndex
CREATE INDEX "idempotent_request_expires_at_idx" ON "idempotent_request"("expires_at");

-- CreateIndex
CREATE INDEX "account_created_at_id_idx" ON "account"("created_at", "id");

-- CreateIndex
CREATE INDEX "account_search_idx" ON "account" USING GIN ("search");

-- CreateIndex
CREATE INDEX "audit_event_at_id_idx" ON "audit_event"("at", "id");

-- CreateIndex
CREATE INDEX "audit_event_actor_at_idx" ON "audit_event"("actor", "at");

-- CreateIndex
CREATE INDEX "audit_event_event_at_idx" ON "audit_event"("event", "at");

-- CreateIndex
CREATE INDEX "audit_event_address_at_idx" ON "audit_event"("address", "at");

-- CreateIndex: what waits for its seal. The schema cannot say "where".
CREATE INDEX "audit_event_unsealed_idx" ON "audit_event"("id") WHERE "batch" IS NULL;

-- CreateIndex
CREATE UNIQUE INDEX "audit_event_batch_position_key" ON "audit_event"("batch", "position");

-- CreateIndex
CREATE INDEX "client_created_at_id_idx" ON "client"("created_at", "id");

-- CreateIndex
CREATE INDEX "client_created_by_last_used_at_created_at_idx" ON "client"("created_by", "last_used_at", "created_at");

-- CreateIndex
CREATE INDEX "client_previous_secret_until_idx" ON "client"("previous_secret_until");

-- CreateIndex
CREATE INDEX "credential_kind_idx" ON "credential"("kind");

-- CreateIndex
CREATE INDEX "consent_client_id_account_id_idx" ON "consent"("client_id", "account_id");

-- CreateIndex
CREATE INDEX "client_search_idx" ON "client" USING GIN ("search");

-- AddForeignKey
ALTER TABLE "client_owner" ADD CONSTRAINT "client_owner_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "client"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "client_owner" ADD CONSTRAINT "client_owner_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "client_failure" ADD CONSTRAINT "client_failure_client_id_fkey" FOREIGN KEY ("client_id") REFERENCES "client"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "audit_event" ADD CONSTRAINT "audit_event_batch_fkey" FOREIGN KEY ("batch") REFERENCES "audit_batch"("number") ON DELETE RESTRICT ON UPDATE CASCADE;

-- The audit log is append-only. What changes a row says so for its transaction (the setting grantor.audit), and each may change one thing alone:
-- seal: an event gets its place in the chain; erase: its personal part goes; remove: a batch's events go when their time is over.
CREATE FUNCTION "audit_event_guard"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  doing TEXT := coalesce(current_setting('grantor.audit', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF (NEW."id", NEW."at", NEW."event", NEW."outcome", NEW."actor", NEW."account_id", NEW."client_id", NEW."request_id")
       IS NOT DISTINCT FROM (OLD."id", OLD."at", OLD."event", OLD."outcome", OLD."actor", OLD."account_id", OLD."client_id", OLD."request_id")
    THEN
      IF doing = 'seal' AND OLD."batch" IS NULL AND NEW."batch" IS NOT NULL
         AND (NEW."address", NEW."detail", NEW."erased_at") IS NOT DISTINCT FROM (OLD."address", OLD."detail", OLD."erased_at")
      THEN
        RETURN NEW;
      END IF;
      IF doing = 'erase' AND OLD."erased_at" IS NULL AND NEW."erased_at" IS NOT NULL
         AND NEW."address" IS NULL AND NEW."detail" = '{}' AND NEW."salt" IS NULL
         AND (NEW."batch", NEW."position", NEW."personal_hash") IS NOT DISTINCT FROM (OLD."batch", OLD."position", OLD."personal_hash")
      THEN
        RETURN NEW;
      END IF;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    IF doing = 'remove' AND EXISTS (SELECT 1 FROM "audit_batch" WHERE "number" = OLD."batch" AND "removed_at" IS NOT NULL) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION 'The audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER "audit_event_guard" BEFORE UPDATE OR DELETE ON "audit_event" FOR EACH ROW EXECUTE FUNCTION "audit_event_guard"();
CREATE TRIGGER "audit_event_keeps" BEFORE TRUNCATE ON "audit_event" FOR EACH STATEMENT EXECUTE FUNCTION "audit_event_guard"();

CREATE FUNCTION "audit_batch_guard"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  doing TEXT := coalesce(current_setting('grantor.audit', true), '');
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF (NEW."number", NEW."count", NEW."first_at", NEW."last_at", NEW."events_hash", NEW."hash", NEW."sealed_at")
       IS NOT DISTINCT FROM (OLD."number", OLD."count", OLD."first_at", OLD."last_at", OLD."events_hash", OLD."hash", OLD."sealed_at")
    THEN
      IF doing = 'seal' AND OLD."checkpoint" IS NULL AND NEW."removed_at" IS NOT DISTINCT FROM OLD."removed_at" THEN
        RETURN NEW;
      END IF;
      IF doing = 'remove' AND OLD."removed_at" IS NULL AND NEW."checkpoint" IS NOT DISTINCT FROM OLD."checkpoint" THEN
        RETURN NEW;
      END IF;
    END IF;
  END IF;
  RAISE EXCEPTION 'The audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER "audit_batch_guard" BEFORE UPDATE OR DELETE ON "audit_batch" FOR EACH ROW EXECUTE FUNCTION "audit_batch_guard"();
CREATE TRIGGER "audit_batch_keeps" BEFORE TRUNCATE ON "audit_batch" FOR EACH STATEMENT EXECUTE FUNCTION "audit_batch_guard"();
