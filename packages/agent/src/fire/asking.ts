/**
 * Claims that etcd has not answered yet. An execution that only asks for its tick is none that is under way: the next tick of its job must wait for the answer
 * before it says that it overlaps. Etcd away: each claim has its deadline, and then its tick is held.
 */
import type { Clock } from "fleetcron-shared/base/clock";

export class Asking {
  readonly #clock: Pick<Clock, "turn">;
  readonly #open = new Map<string, PromiseWithResolvers<void>>();

  constructor(clock: Pick<Clock, "turn">) {
    this.#clock = clock;
  }

  /** This execution has begun in order to ask. */
  begins(execution: string): void {
    this.#open.set(execution, Promise.withResolvers());
  }

  /** It has its answer, or none; those who wait for it go on when what it leads to has happened. */
  ends(execution: string): void {
    const open = this.#open.get(execution);
    this.#open.delete(execution);
    if (open !== undefined) this.#clock.turn(open.resolve);
  }

  /** Waits for the answers if all of these only ask; false when one of them is really under way. */
  async answered(executions: readonly { readonly id: string }[]): Promise<boolean> {
    const open = executions.map(({ id }) => this.#open.get(id)?.promise);
    if (open.length === 0 || open.includes(undefined)) return false;
    await Promise.all(open);
    return true;
  }
}
