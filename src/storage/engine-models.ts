/** As what the engine's models are kept, and for how long. */
import type { RecordKind } from "./record-store.ts";

export type EngineModel =
  | "Session"
  | "Grant"
  | "AuthorizationCode"
  | "RefreshToken"
  | "AccessToken"
  | "ClientCredentials"
  | "DeviceCode"
  | "PushedAuthorizationRequest"
  | "Interaction"
  | "ReplayDetection";

export const KINDS: Readonly<Record<EngineModel, RecordKind>> = {
  Session: "session",
  Grant: "grant",
  AuthorizationCode: "authorization-code",
  RefreshToken: "refresh-token",
  AccessToken: "access-token",
  ClientCredentials: "access-token",
  DeviceCode: "device-code",
  PushedAuthorizationRequest: "pushed-request",
  Interaction: "interaction",
  ReplayDetection: "replay",
};

/** Kinds that a token request uses up when it commits. */
export const CONSUMED_AT_COMMIT: ReadonlySet<RecordKind> = new Set(["authorization-code", "refresh-token", "device-code"]);

/** Milliseconds for which a record outlives its `exp`, so that a late comer hears "expired" or "used" and not "unknown". */
export const KEPT_AFTER_EXPIRY: Readonly<Partial<Record<RecordKind, number>>> = {
  "authorization-code": 600_000, // a replay after its 60 seconds still ends what it gave
  "device-code": 600_000,
  "pushed-request": 3_600_000, // as long as an interaction that it started
};
