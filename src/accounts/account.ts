/** A person. `id` is the `sub` of their tokens. */
export interface Account {
  readonly id: string;
  /** Normalised. */
  readonly email: string;
  readonly emailVerified: boolean;
  readonly name?: string;
  /** Further standard claims (OIDC Core §5.1). */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly disabledAt?: Date;
  /** Its owner has asked for its deletion, which comes then; until then they may sign in for nothing but to call it off. */
  readonly deleteAt?: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly roles: readonly string[];
  /** One of the roles demands two factors, or a passkey. */
  readonly requiresSecondFactor: boolean;
  /** Scopes that the roles permit, each once. */
  readonly permissions: readonly string[];
}

/** Whether its owner may use it: tokens, sessions and pages are for such accounts alone. */
export const isUsable = (account: Account): boolean => account.disabledAt === undefined && account.deleteAt === undefined;
