/** The browser's clock and randomness, for what takes them as a dependency; the only file of the console that reads them. */

export type WebClock = {
  now(): number;
  mono(): number;
  after(ms: number, fn: () => void): () => void;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export const webClock: WebClock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const finish = () => {
        cancel();
        signal?.removeEventListener("abort", finish);
        resolve();
      };
      const cancel = webClock.after(ms, finish);
      signal?.addEventListener("abort", finish, { once: true });
    });
  },
};

/** 128 random bits as text: an Idempotency-Key. `crypto.randomUUID` is not there without TLS. */
export function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** 0 … 1. */
export function randomShare(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32;
}
