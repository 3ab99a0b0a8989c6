/** What the pages of the developers' portal need to know. */
import type { Text, Words } from "../i18n/messages.ts";
import type { FormView, PersonView } from "./page-parts.ts";

/** What every page below `/apps` knows. */
export interface PortalPage {
  person: PersonView;
  /** What was done on the page before. */
  notice?: Text | undefined;
  /** As in AccountPage. */
  zone?: string | undefined;
}

/** An application, as its owners see it. */
export interface AppView {
  clientId: string;
  name: string;
  /** In words: "Web application". */
  kind: Text;
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
  sections: readonly { path: string; label: Text; current: boolean }[];
}

export interface LinkView {
  path: string;
  label: Text;
}

/** A program that is filled in with an application's values. */
export interface QuickStartView {
  heading: Text;
  about: Text;
  /** What somebody must see to first, and an operator's command for it. */
  missing: readonly { words: Text; command?: string | undefined }[];
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

/** An address that somebody typed, and what there is to say about it. */
export interface CheckedUri {
  uri: string;
  fault?: Text | undefined;
  note?: Text | undefined;
}

/** By the name of the field. */
export type CheckedLists = Readonly<Record<string, readonly CheckedUri[]>>;

/** The scopes of one resource; without it of the person's own data, or (`other`) those that an operator gave. */
export interface ScopeChoice {
  resource?: { name: string; audience: string };
  other?: boolean;
  scopes: readonly { field: string; scope: string; description: Words; chosen: boolean }[];
}

/** A form of one of an application's pages; `typed`: what is in the fields, by their names. */
export interface AppForm extends AppPage, FormView {
  typed: Readonly<Record<string, string>>;
}

/** How fields with redirect URIs are checked while somebody types. */
export type UriKind = "redirect_web" | "redirect_native";

export interface Choice {
  value: string;
  label: Text;
}

export interface AppPageModels {
  /** `mayNot`: why this person registers no further one. `create`: where one is registered, for who may. */
  "apps/list": PortalPage & {
    apps: readonly AppView[];
    create?: string | undefined;
    mayNot?: Text | undefined;
    older?: string | undefined;
    inspector: string;
  };
  "apps/quick-starts": AppPage & { programs: readonly LinkView[]; apis: readonly LinkView[] };
  "apps/quick-start": AppPage & QuickStartView;
  "apps/new": PortalPage & { kinds: readonly string[] };
  /** `scopes`: for an application that goes alone. */
  "apps/new-app": PortalPage &
    FormView & {
      kind: string;
      typed: Readonly<Record<string, string>>;
      hasAddresses: boolean;
      uriKind: UriKind;
      lines: CheckedLists;
      scopes?: readonly ScopeChoice[] | undefined;
    };
  /** `secret`: shown this once; `newSecret` is where another one is made. */
  "apps/created": PortalPage & {
    app: AppView;
    issuer: string;
    hasSecret: boolean;
    secret?: string | undefined;
    quickStarts: string;
    tryIt: string;
    newSecret: string;
  };
  /** `asksPeople`: they are told whether it is verified. */
  "apps/overview": AppPage & { owners: readonly string[]; since: Date; asksPeople: boolean; issuer: string };
  "apps/addresses": AppForm & { uriKind: UriKind; lines: CheckedLists };
  /** `asksPeople`: people see more of it than its name. */
  "apps/look": AppForm & { asksPeople: boolean };
  "apps/scopes": AppForm & { choices: readonly ScopeChoice[]; asksPeople: boolean };
  "apps/keys": AppForm & { methods: readonly Choice[] };
  "apps/lifetimes": AppForm & { access: readonly Choice[]; refresh?: readonly Choice[] | undefined };
  "apps/protection": AppForm & { pushed: boolean };
}
