/**
 * The transactions of pipelines and notifications by name, each with an instant before and one after it (base/kill-points.ts): a master can be made to die in
 * each, and the next one must go on as if nothing had been.
 */

/** In the order in which a run passes them. Several can be one transaction: an end is handed over, and the next task ordered with it. */
export const STEPS = [
  /** Orders a job to run now, for somebody who asks. */
  "runJob",
  /** Asks for a run: its document and its plan. */
  "createRun",
  /** … for a tick of a timer, with how far the timer has come. */
  "fire",
  /** How far a timer has come, without a run. */
  "moveTimer",
  /** Asks for a run after another's end, or strikes that off. */
  "follow",
  /** Puts what somebody wants of a run. */
  "ask",
  /** A queued run begins. */
  "start",
  /** Orders executions. */
  "order",
  /** Files what agents have delivered; ends of tasks become requests. */
  "file",
  /** Takes over ends of executions. */
  "takeEnd",
  "audit",
  "confirm",
  /** A status from outside. */
  "status",
  "cancel",
  /** Orders to end what did not fit into the run's own transaction. */
  "kill",
  "rerun",
  /** Puts what is to be told, with the change itself. */
  "notify",
  /** The run ends. */
  "finish",
  /** Removes requests that no run can use. */
  "drop",
  /** Deletes old runs. */
  "tidy",
  /** Moves what is to be told from the outbox to its deliveries. */
  "gather",
  /** Nothing more gets into a delivery. */
  "seal",
  /** The message itself: no transaction. */
  "send",
  /** What came of it. */
  "note",
  /** Deletes old deliveries. */
  "forget",
] as const;
export type Step = (typeof STEPS)[number];

/** The instant before or after a step. */
export type KillPoint = `${Step}:before` | `${Step}:after`;
export type PassPoint = (point: KillPoint) => void;

/** Does `work`, which is these steps at once. */
export async function passing<T>(passPoint: PassPoint, steps: readonly Step[], work: () => Promise<T>): Promise<T> {
  for (const step of steps) passPoint(`${step}:before`);
  const result = await work();
  for (const step of steps) passPoint(`${step}:after`);
  return result;
}
