/** A daemon under the care of something like systemd: started again a second after it has ended by itself; dead only as long as a fault wants it. */
import { systemClock } from "fleetcron-shared/base/clock";
import type { Daemon } from "../support/daemon.ts";

const AGAIN_MS = 1000;

export type Kept = {
  readonly daemon: Daemon;
  /** SIGKILL, and stays dead until `revive`. */
  kill(): Promise<void>;
  /** Resolves when it is ready again, however often it takes. */
  revive(): Promise<void>;
  /** How often it has ended without being told to. */
  readonly ends: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
};

/** `onEnd` is told of each end that no fault has asked for. */
export function keep(daemon: Daemon, onEnd: (why: string) => void): Kept {
  const ends: string[] = [];
  let wanted = true;
  let closed = false;
  let starting: Promise<void> | undefined;

  function watch(): void {
    void daemon.exited.then((code) => {
      if (!wanted || closed || starting !== undefined) return;
      ends.push(`exit ${code}`);
      onEnd(`exit ${code}`);
      void systemClock.sleep(AGAIN_MS).then(() => (wanted && !closed ? start() : undefined));
    });
  }

  function start(): Promise<void> {
    starting ??= again().finally(() => {
      starting = undefined;
      if (wanted && !closed) watch();
    });
    return starting;
  }

  async function again(): Promise<void> {
    while (wanted && !closed) {
      try {
        return await daemon.restart();
      } catch (thrown) {
        onEnd(`at its start: ${String(thrown).split("\n").slice(0, 1).join("")}`);
        await systemClock.sleep(AGAIN_MS);
      }
    }
  }

  watch();
  return {
    daemon,
    ends,
    async kill() {
      wanted = false;
      await daemon.kill();
      await starting;
      await daemon.kill();
    },
    async revive() {
      wanted = true;
      await start();
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      wanted = false;
      await daemon.kill();
      await starting;
      await daemon[Symbol.asyncDispose]();
    },
  };
}
