/** Everything that is stored about a person, for themselves (GDPR article 15 and 20): what they are, how they sign in, what they allowed. */
import type { PrismaClient } from "../storage/generated/client.ts";
import type { Account } from "./account.ts";

/** Of each kind; nobody has as many by hand. */
const MOST = 1_000;

export interface AccountData {
  /** As JSON takes it, in OpenID Connect's names for what it names; never a secret, nor the hash of one. @throws the driver's errors */
  of(account: Account): Promise<Record<string, unknown>>;
}

export function createAccountData(prisma: PrismaClient): AccountData {
  return {
    async of(account) {
      const mine = { where: { accountId: account.id }, take: MOST };
      const inTime = { ...mine, orderBy: { createdAt: "asc" } } as const;
      const [roles, credentials, passkeys, codes, identities, sessions, consents, applications] = await Promise.all([
        prisma.accountRole.findMany(mine),
        prisma.credential.findMany({ ...inTime, select: { kind: true, createdAt: true, updatedAt: true, lastUsedAt: true } }),
        prisma.passkey.findMany({ ...inTime, select: { name: true, rpId: true, createdAt: true, lastUsedAt: true } }),
        prisma.recoveryCode.count({ where: { accountId: account.id, usedAt: null } }),
        prisma.federatedIdentity.findMany(inTime),
        prisma.accountSession.findMany(inTime),
        prisma.consent.findMany({ ...inTime, include: { client: { select: { metadata: true } } } }),
        prisma.clientOwner.findMany({ ...inTime, include: { client: { include: { _count: { select: { owners: true } } } } } }),
      ]);
      return {
        profile: {
          ...account.claims,
          sub: account.id,
          ...(account.name === undefined ? {} : { name: account.name }),
          email: account.email,
          email_verified: account.emailVerified,
          created_at: account.createdAt,
          updated_at: account.updatedAt,
        },
        roles: roles.map(({ roleName, grantedAt }) => ({ name: roleName, granted_at: grantedAt })),
        ways_to_sign_in: credentials.map(({ kind, createdAt, updatedAt, lastUsedAt }) => ({
          kind,
          created_at: createdAt,
          changed_at: updatedAt,
          last_used_at: lastUsedAt,
        })),
        passkeys: passkeys.map(({ name, rpId, createdAt, lastUsedAt }) => ({
          name,
          host: rpId,
          created_at: createdAt,
          last_used_at: lastUsedAt,
        })),
        recovery_codes_left: codes,
        other_providers: identities.map(({ issuer, subject, label, createdAt, lastUsedAt }) => ({
          issuer,
          subject,
          label,
          created_at: createdAt,
          last_used_at: lastUsedAt,
        })),
        sessions: sessions.map(({ userAgent, address, createdAt, lastUsedAt, expiresAt }) => ({
          user_agent: userAgent,
          address,
          created_at: createdAt,
          last_used_at: lastUsedAt,
          expires_at: expiresAt,
        })),
        connected_applications: consents.map(({ clientId, client, scopes, createdAt, updatedAt, lastUsedAt }) => ({
          client_id: clientId,
          name: nameIn(client.metadata),
          allowed: scopes,
          since: createdAt,
          changed_at: updatedAt,
          last_used_at: lastUsedAt,
        })),
        own_applications: applications.map(({ client, createdAt }) => ({
          client_id: client.id,
          name: nameIn(client.metadata),
          created_at: client.createdAt,
          owned_since: createdAt,
          only_owner: client._count.owners === 1,
        })),
      };
    },
  };
}

const nameIn = (metadata: unknown): string | undefined => (metadata as { client_name?: string } | null)?.client_name;
