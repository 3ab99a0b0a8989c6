/** What the portal's pages about an application's secret, owners, end, trial runs and failed requests need to know. */
import type { Text, Words } from "../i18n/messages.ts";
import type { AppPage, PortalPage } from "./app-page-models.ts";
import type { FormView } from "./page-parts.ts";

export interface ExplainedMember {
  name: string;
  value: string;
  meaning?: Text | undefined;
}

export interface AppCareModels {
  /** `secret`: the one that was made just now, shown this once. `since`: of the present one; `previousUntil`: of the one before, while it works. */
  "apps/secret": AppPage &
    FormView & {
      secret?: string | undefined;
      since?: Date | undefined;
      previousUntil?: Date | undefined;
      end: string;
      /** Seconds, as the form sends them. */
      overlaps: readonly string[];
      overlap?: string | undefined;
    };
  "apps/owners": AppPage &
    FormView & {
      owners: readonly { id: string; email: string; name?: string | undefined; since: Date; you: boolean }[];
      invitations: readonly { id: string; email: string; until: Date }[];
      remove: string;
      withdraw: string;
      typed?: string | undefined;
      sentTo?: string | undefined;
      outbox?: string | undefined;
    };
  "apps/invitation": PortalPage & FormView & { name: string; by: string };
  /** `resources`: APIs of which it has scopes. `run`: the one before, while it lasts. */
  "apps/try": AppPage & {
    action: string;
    kind: string;
    resources: readonly { value: string; label: string }[];
    run?: string | undefined;
  };
  /** A trial run. The forms are at `action` and below it. */
  "apps/trial": AppPage & {
    action: string;
    phase: "waiting" | "done" | "failed" | "ended";
    exchanges: readonly {
      step: string;
      method: string;
      url: string;
      headers: readonly ExplainedMember[];
      params: readonly ExplainedMember[];
      status?: number | undefined;
      answer: readonly ExplainedMember[];
    }[];
    device?: { userCode: string; link: string } | undefined;
    trouble?: { what: Text; remedy: Text } | undefined;
    tokens: readonly {
      kind: "access" | "id";
      verdict: Text;
      claims: readonly { name: string; value: Words; when?: Text | undefined; meaning?: Text | undefined }[];
    }[];
    mayRefresh: boolean;
    failures: string;
  };
  /** What happened last first. `sent`: parameters. `tryIt`: the page. */
  "apps/failures": AppPage & {
    failures: readonly {
      where: Text;
      what: Text;
      remedy: Text;
      answer: string;
      count: number;
      last: Date;
      sent: readonly { name: string; value: string }[];
    }[];
    tryIt: string;
  };
  "apps/delete": AppPage & FormView & { typed?: string | undefined };
}
