/**
 * Claims that etcd has not answered yet. An execution that only asks for its tick is none that is under way: the next tick of its job must wait for the answer
 * before it says that it overlaps. Etcd away: each claim has its deadline, and then its tick is held.
 */
import type { Clock } from "fleetcron-shared/base/clock";

export class Asking {
  readonly #clock: Pick<Clock, "turn">;
  readonly #open = new Map<string, Promise<void>>();

  constructor(clock: Pick<Clock, "turn">) {
    this.#clock = clock;
  }

  /** `ask` asks for the tick of this execution. */
  async during<T>(execution: string, ask: () => Promise<T>): Promise<T> {
    const answered = Promise.withResolvers<void>();
    this.#open.set(execution, answered.promise);
    try {
      return await ask();
    } finally {
      this.#open.delete(execution);
      // What the answer leads to comes first.
      this.#clock.turn(answered.resolve);
    }
  }

  /** Waits for the answers if all of these only ask; false when one of them is really under way. */
  async answered(executions: readonly { readonly id: string }[]): Promise<boolean> {
    const open = executions.map(({ id }) => this.#open.get(id));
    if (open.length === 0 || open.includes(undefined)) return false;
    await Promise.all(open);
    return true;
  }
}
