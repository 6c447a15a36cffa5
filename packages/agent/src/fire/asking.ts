/**
 * Claims that etcd has not answered yet. An execution that only asks for its tick is none that is under way: the next tick of its job must wait for the answer
 * before it says that it overlaps. Etcd away: each claim has its deadline, and then its tick is held, and asks again as another execution of the same id.
 */
import type { Clock } from "fleetcron-shared/base/clock";
import type { ActiveExecution } from "../run/executions.ts";

export class Asking {
  readonly #clock: Pick<Clock, "turn">;
  readonly #open = new Map<ActiveExecution, PromiseWithResolvers<void>>();

  constructor(clock: Pick<Clock, "turn">) {
    this.#clock = clock;
  }

  /** This execution has begun in order to ask. */
  begins(execution: ActiveExecution): void {
    this.#open.set(execution, Promise.withResolvers());
  }

  /** It has its answer, or none; those who wait for it go on when what it leads to has happened. */
  ends(execution: ActiveExecution): void {
    const open = this.#open.get(execution);
    this.#open.delete(execution);
    if (open !== undefined) this.#clock.turn(open.resolve);
  }

  /** Waits for the answers if all of these only ask; false when one of them is really under way. */
  async answered(executions: readonly ActiveExecution[]): Promise<boolean> {
    const open = executions.map((execution) => this.#open.get(execution)?.promise);
    if (open.length === 0 || open.includes(undefined)) return false;
    await Promise.all(open);
    return true;
  }
}
