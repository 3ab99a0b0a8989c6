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
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly roles: readonly string[];
  /** Scopes that the roles permit, each once. */
  readonly permissions: readonly string[];
}
