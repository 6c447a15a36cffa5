/** Starts that are on their way to the kernel: a change of the plan is acknowledged only after those of the old plan have begun. */

export class PendingStarts {
  readonly #pending = new Set<Promise<void>>();

  /** Notes that a process is about to be started; call the returned function once it has been, or will not be. */
  begin(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pending.add(promise);
    return () => {
      this.#pending.delete(promise);
      resolve();
    };
  }

  /** Resolves when the starts that are pending now are over. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
