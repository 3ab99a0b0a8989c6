/** What the facts of many pages are made of. All URLs are either absolute or paths of this server. */
import type { Text, Words } from "../i18n/messages.ts";

/** An application that asks for something. */
export interface ClientView {
  name: string;
  /** A path of this server, which hands logos out itself. Absent: it has none, or none that may be shown. */
  logo?: string | undefined;
  /** The application's home page; its host is shown. */
  clientUri?: string | undefined;
  /** Whether an operator has checked who runs it. */
  verified: boolean;
  /** The colour that an operator has given it: `#rrggbb`, in lower case. */
  color?: string | undefined;
  policyUri?: string | undefined;
  tosUri?: string | undefined;
}

/** The person who is signed in. */
export interface PersonView {
  email: string;
  name?: string | undefined;
}

/** What is wrong with a form that comes back. */
export interface FormErrors {
  /** What is wrong with the form as a whole. */
  form?: Text | undefined;
  /** What is wrong with a field, by the field's name. */
  fields?: Readonly<Record<string, Text>> | undefined;
}

/** A form: where it goes and what it carries along. The forgery token is added by the template, unless `hidden` has the engine's `xsrf`. */
export interface FormView {
  action: string;
  hidden?: Readonly<Record<string, string>> | undefined;
  errors?: FormErrors | undefined;
}

/** A scope in words. */
export interface ScopeView {
  scope: string;
  description: Words;
}

/** The scopes of one resource; the person's own data (OpenID scopes) come without `resource`. */
export interface ScopeGroup {
  resource?: { name: string; audience: string } | undefined;
  scopes: readonly ScopeView[];
}
