/**
 * The one lifecycle contract. `start` resolves when the service is ready and throws when it cannot be; `stop` is idempotent, legal before
 * start, and resolves when the loop has ended; `done` resolves on stop and rejects only on a fault.
 */
export type Service = {
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly done: Promise<void>;
};

/** Clean-up collected as resources are made, run last in first out; every step runs even when one fails (the first error is thrown at the end). */
export class Cleanup implements AsyncDisposable {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    let failed: { error: unknown } | undefined;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        failed ??= { error };
      }
    }
    if (failed) throw failed.error;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.run();
  }
}
