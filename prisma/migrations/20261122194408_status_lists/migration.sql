-- AlterTable
ALTER TABLE "client" ADD COLUMN     "access_token_ttl" INTEGER,
ADD COLUMN     "refresh_token_max_age" INTEGER,
ADD COLUMN     "refresh_token_ttl" INTEGER,
ADD COLUMN     "suspended_at" TIMESTAMPTZ(3),
ADD COLUMN     "token_exchange" JSONB;

-- AlterTable
ALTER TABLE "engine_record" ADD COLUMN     "status_idx" INTEGER,
ADD COLUMN     "status_list" TEXT;

-- AlterTable
ALTER TABLE "resource" ADD COLUMN     "encryption_alg" TEXT,
ADD COLUMN     "encryption_enc" TEXT,
ADD COLUMN     "encryption_jwk" JSONB,
ADD COLUMN     "hmac_secret" TEXT;

-- AlterTable
ALTER TABLE "signing_key" ADD COLUMN     "published_until" TIMESTAMPTZ(3),
ADD COLUMN     "replace_at" TIMESTAMPTZ(3),
ADD COLUMN     "revoked_at" TIMESTAMPTZ(3);

-- CreateTable
CREATE TABLE "status_list" (
    "id" TEXT NOT NULL,
    "seed" BYTEA NOT NULL,
    "longest_life" INTEGER NOT NULL,
    "next_block" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "closes_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "status_list_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "status_entry" (
    "list_id" TEXT NOT NULL,
    "idx" INTEGER NOT NULL,
    "ended_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "status_entry_pkey" PRIMARY KEY ("list_id","idx")
);

-- CreateIndex
CREATE INDEX "status_list_longest_life_closes_at_idx" ON "status_list"("longest_life", "closes_at");

-- CreateIndex
CREATE INDEX "status_list_expires_at_idx" ON "status_list"("expires_at");

-- CreateIndex
CREATE INDEX "status_entry_ended_at_idx" ON "status_entry"("ended_at");

-- AddForeignKey
ALTER TABLE "status_entry" ADD CONSTRAINT "status_entry_list_id_fkey" FOREIGN KEY ("list_id") REFERENCES "status_list"("id") ON DELETE CASCADE ON UPDATE CASCADE;
