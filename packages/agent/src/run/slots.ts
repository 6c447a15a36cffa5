/** The node's capacity: at most so many executions run at once; the rest wait here, first come first served, in plain sight (`queued`). */

export class Slots {
  readonly #capacity: number;
  readonly #waiting: { resolve: (taken: boolean) => void }[] = [];
  #used = 0;
  /** Called when a slot is taken or given back. */
  onChanged: () => void = () => {};

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get used(): number {
    return this.#used;
  }

  /** Takes a slot at once if one is free and nobody waits. */
  tryTake(): boolean {
    if (this.#used >= this.#capacity || this.#waiting.length > 0) return false;
    this.#used++;
    this.onChanged();
    return true;
  }

  /** Counts what runs already, however many there are. */
  occupy(): void {
    this.#used++;
    this.onChanged();
  }

  /** Waits for a slot; resolves true when it is taken, false when `signal` aborted first. */
  take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.tryTake()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waiter = {
        resolve: (taken: boolean) => {
          signal.removeEventListener("abort", giveUp);
          resolve(taken);
        },
      };
      const giveUp = () => {
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
        resolve(false);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.push(waiter);
    });
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      if (this.#used === 0) throw new Error("a slot was given back that nobody had taken");
      this.#used--;
      this.onChanged();
      return;
    }
    next.resolve(true);
  }
}
