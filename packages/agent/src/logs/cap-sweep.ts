/** Caps the logs of all running processes once a second, in the process that outlives the agent; no timer while none runs. Only Node built-ins. */
import { type CapDeps, type CapState, capLimits, capLog } from "./cap.ts";

const EVERY_MS = 1000;

export type CapSweep = {
  /** A process has begun to write to `path`; at most about `maxBytes` are kept. */
  add(path: string, maxBytes: number): void;
  /** It has ended. */
  remove(path: string): void;
};

/** `warn` hears once per log that it cannot be capped, and why. */
export function openCapSweep(deps: CapDeps & { after(ms: number, fn: () => void): unknown; warn(message: string): void }): CapSweep {
  const logs = new Map<string, { readonly maxBytes: number; state: CapState | undefined; warned: boolean }>();
  let isArmed = false;

  function arm(): void {
    if (isArmed || logs.size === 0) return;
    isArmed = true;
    deps.after(EVERY_MS, () => {
      isArmed = false;
      for (const [path, log] of logs) {
        try {
          log.state = capLog(deps, path, { ...capLimits(log.maxBytes), state: log.state });
        } catch (thrown) {
          if (!log.warned) deps.warn(`cannot cap ${path}: ${String(thrown)}`);
          log.warned = true;
        }
      }
      arm();
    });
  }

  return {
    add(path, maxBytes) {
      logs.set(path, { maxBytes, state: undefined, warned: false });
      arm();
    },
    remove: (path) => void logs.delete(path),
  };
}
