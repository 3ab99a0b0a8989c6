import type { PageModels, View } from "../../src/http/pages.ts";

/** A page in one of the states that it can be in. */
export type Sample = { [V in View]: { view: V; model: PageModels[V] } }[View];
