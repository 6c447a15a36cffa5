/** The logs of containers as the kubelet keeps and serves them: time stamps to the nanosecond, `sinceTime` to the second, `follow` until the container ends. */
import { systemClock } from "fleetcron-shared/base/clock";

export type Line = { readonly stamp: string; readonly second: number; readonly text: string };

export type ContainerLog = {
  /** Adds text; `\n` ends lines, and what has no line end is a line when the container ends. */
  write(text: string): void;
  /** No more comes. */
  end(): void;
  /** From the lines of `sinceSecond` on; ends with the log, or at once without `follow`. */
  read(options: { follow: boolean; timestamps: boolean; sinceSecond: number | undefined }, signal: AbortSignal): AsyncIterable<string>;
  readonly lines: readonly Line[];
};

export function createContainerLog(): ContainerLog {
  const lines: Line[] = [];
  let open = "";
  let ended = false;
  let wake = Promise.withResolvers<void>();
  let nanos = 0;

  function stamp(): { stamp: string; second: number } {
    nanos = (nanos + 1) % 1_000_000;
    const iso = new Date(systemClock.now()).toISOString();
    // Go leaves out zeros at the end of the fraction.
    const fraction = `${iso.slice(20, 23)}${String(nanos).padStart(6, "0")}`.replace(/0+$/, "");
    return { stamp: `${iso.slice(0, 19)}${fraction === "" ? "" : `.${fraction}`}Z`, second: Math.floor(Date.parse(iso) / 1000) };
  }

  function changed(): void {
    wake.resolve();
    wake = Promise.withResolvers();
  }

  return {
    lines,
    write(text) {
      const parts = (open + text).split("\n");
      open = parts.pop() ?? "";
      for (const part of parts) lines.push({ ...stamp(), text: `${part}\n` });
      changed();
    },
    end() {
      if (ended) return;
      if (open !== "") lines.push({ ...stamp(), text: open });
      open = "";
      ended = true;
      changed();
    },
    async *read({ follow, timestamps, sinceSecond }, signal) {
      const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      for (let at = 0; !signal.aborted; ) {
        const line = lines[at];
        if (line !== undefined) {
          at++;
          if (sinceSecond === undefined || line.second >= sinceSecond) yield timestamps ? `${line.stamp} ${line.text}` : line.text;
        } else if (ended || !follow) return;
        else await Promise.race([wake.promise, aborted]);
      }
    },
  };
}
