/**
 * Preloaded into a server under test (`--import`): asked on the change feed how far it has heard, it answers there. Notifications come in the
 * order of their commits, so that whoever hears the answer knows that the server has heard everything before the question.
 */
import pg from "pg";
import { ANSWER, CHANNEL, QUESTION } from "./in-step.ts";

const emit = pg.Client.prototype.emit;

pg.Client.prototype.emit = function (this: pg.Client, event: string | symbol, ...told: unknown[]) {
  const heard = Reflect.apply(emit, this, [event, ...told]);
  if (event !== "notification") return heard;
  const { topic, id } = JSON.parse((told[0] as pg.Notification).payload ?? "{}");
  if (topic === QUESTION) {
    const answer = JSON.stringify({ topic: ANSWER, id: `${id} ${process.pid}`, from: "the server" });
    this.query("SELECT pg_notify($1, $2)", [CHANNEL, answer]).catch(() => {}); // Who asks a server that loses its connection waits for nothing else.
  }
  return heard;
};
