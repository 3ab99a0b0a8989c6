/** Which writes of a commit decide whether it is carried out at all, and which have to wait for that. */
import type { Write } from "./record-store.ts";

export type Put = Write & { op: "put" };
export type Removal = Write & { op: "remove" };

export const mustBeThere = ({ onlyIfThere, as }: Removal): boolean => onlyIfThere === true || as !== undefined;

/** What comes after all else: a loser that sees it decided finds everything of the winner in place. */
export const isDecision = ({ op, key }: Write): boolean => op === "consume" || key.startsWith("browser:");

/** Whether a commit with it may be lost, and the same request come again. */
export const decidesARace = (write: Write): boolean =>
  isDecision(write) || (write.op === "put" && write.onlyIfThere === true) || (write.op === "remove" && mustBeThere(write));

/** The removal of what a request has used up, and which the same one needs when it comes again. It ends nothing. */
export const isTidying = ({ op, key }: Write): boolean => op === "remove" && key.startsWith("interaction:");
