/** Work by name: each name has at most one piece of work under way, asking again meanwhile means once more afterwards, and so many run at a time. */
export type Pool = {
  kick(name: string): void;
  /** Nothing runs before. */
  open(): void;
  /** Resolves when what is under way has ended; nothing begins after it. */
  stop(): Promise<void>;
};

/** `work` must not reject. */
export function createPool(options: { readonly limit: number; readonly ended: AbortSignal }, work: (name: string) => Promise<void>): Pool {
  const wanted = new Set<string>();
  const busy = new Map<string, Promise<void>>();
  let closed = true;

  function pump(): void {
    if (closed || options.ended.aborted) return;
    for (const name of wanted) {
      if (busy.size >= options.limit) return;
      if (busy.has(name)) continue;
      wanted.delete(name);
      const done = work(name).finally(() => {
        busy.delete(name);
        pump();
      });
      busy.set(name, done);
    }
  }

  return {
    kick(name) {
      wanted.add(name);
      pump();
    },
    open() {
      closed = false;
      pump();
    },
    async stop() {
      closed = true;
      wanted.clear();
      await Promise.all(busy.values());
    },
  };
}
