/**
 * Loaded into the process of each test file (package.json, `ava.require`): what a failed test has left open must not hold up all others for as long as ava
 * would wait. A file that does not end by itself fails, also when its tests have passed.
 */
import { registerCompletionHandler } from "ava";

const PATIENCE_MS = 60_000;

registerCompletionHandler(() => {
  const giveUp = () => {
    console.error(`still open ${PATIENCE_MS / 1000} s after the last test: ${process.getActiveResourcesInfo().join(", ")}`);
    process.exit(1);
  };
  setTimeout(giveUp, PATIENCE_MS).unref();
});
