/** What the pages about the management API need to know. What describes the API itself is English, like the API. */

/** Text, some of which is code. */
export type Prose = readonly { text: string; isCode: boolean }[];

/** A parameter, or a member of a body. */
export interface ApiMember {
  /** `scopes[].name` for what lies deeper. */
  name: string;
  /** Such as `string`, `integer`, `"read" | "write"`. */
  type: string;
  required: boolean;
  about: Prose;
}

export interface ApiOperation {
  id: string;
  method: string;
  path: string;
  summary: string;
  about: Prose;
  scope: string;
  parameters: readonly (ApiMember & { place: string })[];
  body: readonly ApiMember[];
  /** Of success. */
  status: string;
  answer: readonly ApiMember[];
  /** Statuses and titles of what can go wrong. */
  problems: readonly { status: string; name: string; title: string }[];
}

export interface ApiPageModels {
  "api/description": {
    /** Where the description is for programs. */
    download: string;
    groups: readonly { name: string; about: Prose; operations: readonly ApiOperation[] }[];
  };
  "api/problem": { heading: string; status: number; about: Prose; description: string };
}
