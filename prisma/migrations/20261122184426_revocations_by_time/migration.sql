-- CreateIndex
CREATE INDEX "revocation_revoked_at_key_idx" ON "revocation"("revoked_at", "key");
