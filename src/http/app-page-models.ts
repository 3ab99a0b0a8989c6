/** What the pages of the developers' portal need to know. */
import type { Words } from "../i18n/messages.ts";
import type { PersonView } from "./page-parts.ts";

/** What every page below `/apps` knows. */
export interface PortalPage {
  person: PersonView;
  /** What was done on the page before. */
  notice?: Words | undefined;
}

/** An application, as its owners see it. */
export interface AppView {
  clientId: string;
  name: string;
  /** In words: "Web application". */
  kind: Words;
  /** Its first page. */
  path: string;
  verified: boolean;
  /** An operator has suspended it: nothing of it works, and nothing can be changed. */
  suspended: boolean;
}

/** What every page of one application knows. */
export interface AppPage extends PortalPage {
  app: AppView;
  /** Its pages, the one that is shown among them. */
  sections: readonly { path: string; label: Words; current: boolean }[];
}

export interface LinkView {
  path: string;
  label: Words;
}

/** A program that is filled in with an application's values. */
export interface QuickStartView {
  heading: Words;
  about: Words;
  /** What somebody must see to first, and an operator's command for it. */
  missing: readonly { words: Words; command?: string | undefined }[];
  /** Where redirect URIs are registered, when one is missing. */
  addresses?: string | undefined;
  files: readonly { name: string; content: string; download: string }[];
  /** Lines for a shell, with a place for each secret. */
  secrets: readonly string[];
  /** It is called by applications, and is none. */
  isApi: boolean;
  install?: string | undefined;
  run: string;
  /** Where it is opened. */
  open?: string | undefined;
  /** Where it is called. */
  listens?: string | undefined;
  back: string;
}

export interface AppPageModels {
  /** `mayNot`: why this person registers no further one. `create`: where one is registered, for who may. */
  "apps/list": PortalPage & {
    apps: readonly AppView[];
    create?: string | undefined;
    mayNot?: Words | undefined;
    older?: string | undefined;
    inspector: string;
  };
  "apps/quick-starts": AppPage & { programs: readonly LinkView[]; apis: readonly LinkView[] };
  "apps/quick-start": AppPage & QuickStartView;
}
