-- DropIndex
DROP INDEX "audit_event_at_idx";

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
ALTER TABLE "client" ADD COLUMN     "previous_secret_hash" TEXT,
ADD COLUMN     "previous_secret_until" TIMESTAMPTZ(3),
ADD COLUMN     "search" tsvector
  GENERATED ALWAYS AS (array_to_tsvector(search_words("id" || ' ' || coalesce("metadata"->>'client_name', '')))) STORED,
ADD COLUMN     "secret_created_at" TIMESTAMPTZ(3);

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
CREATE UNIQUE INDEX "audit_event_batch_position_key" ON "audit_event"("batch", "position");

-- CreateIndex
CREATE INDEX "client_created_at_id_idx" ON "client"("created_at", "id");

-- CreateIndex
CREATE INDEX "client_previous_secret_until_idx" ON "client"("previous_secret_until");

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
