/** A benchmark leaves nothing behind, however it ends: what it starts has exit hooks that kill by pid, and all its temporary files are in one folder. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SIGNALS = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const;

/** Temporary folders of this process and of what it starts are made in one of its own from now on; Ctrl-C and SIGTERM end it by its exit hooks. */
export function ownScratch(): void {
  const folder = mkdtempSync(join(tmpdir(), "fleetcron-scratch-"));
  process.env.TMPDIR = folder;
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  // The last of the exit hooks: what writes there is dead by then.
  const removeLast = () => process.once("exit", remove);
  process.once("beforeExit", remove);
  process.once("uncaughtExceptionMonitor", removeLast);
  for (const [signal, code] of SIGNALS) {
    process.once(signal, () => {
      removeLast();
      process.exit(code);
    });
  }
}
