/**
 * What one spawner has started and how it ended, as lines in a file: whoever comes after it knows its processes although it was killed, and the true ends of
 * those that ended while no agent was there. Written by the spawner, read by the agent. What a full disk does not take waits in memory, and its owner stays
 * until it is written (`settle`).
 */
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import type { Ended, RunId, RunState, Started } from "./protocol.ts";

const TRIM_BYTES = 1 << 20;

type Line = { readonly boot: string } | RunState;

export class Logbook {
  readonly #path: string;
  readonly #bootId: string;
  readonly #fd: number;
  #bytes = 0;
  #pending = "";
  /** Lines that the disk had no room for, the first of them perhaps in part. */
  #unwritten: Buffer = Buffer.alloc(0);

  constructor(path: string, bootId: string) {
    this.#path = path;
    this.#bootId = bootId;
    this.#fd = openSync(path, "a", 0o600);
    this.#write({ boot: bootId });
  }

  /** It is about to be started: what is not in here has never begun. */
  begins(id: RunId): void {
    this.#write({ id });
  }

  started(id: RunId, started: Started): void {
    this.#write({ id, started });
  }

  /** A session has begun, or has moved on. */
  traced(id: RunId, trace: string): void {
    this.#write({ id, trace });
  }

  /** Written with the next `flush`. */
  ended(id: RunId, started: Started | undefined, ended: Ended): void {
    this.#pending += encode(started === undefined ? { id, ended } : { id, started, ended });
  }

  flush(): void {
    if (this.#pending !== "") this.#append(this.#pending);
    this.#pending = "";
  }

  /** Writes what waits for room; whether all is in the file. */
  settle(): boolean {
    try {
      while (this.#unwritten.length > 0) {
        const written = writeSync(this.#fd, this.#unwritten);
        this.#bytes += written;
        this.#unwritten = this.#unwritten.subarray(written);
      }
      return true;
    } catch {
      return false;
    }
  }

  /** Nothing in it is needed any more. */
  trim(): void {
    if (this.#bytes < TRIM_BYTES) return;
    ftruncateSync(this.#fd, 0);
    this.#bytes = 0;
    this.#write({ boot: this.#bootId });
  }

  /** Closes it, and removes it unless somebody still has to read it. */
  close(options: { keep: boolean }): void {
    this.flush();
    closeSync(this.#fd);
    if (!options.keep) rmSync(this.#path, { force: true });
  }

  #write(line: Line): void {
    this.#append(encode(line));
  }

  #append(text: string): void {
    this.#unwritten = Buffer.concat([this.#unwritten, Buffer.from(text)]);
    this.settle();
  }
}

function encode(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

/** The runs in a logbook. Of a boot before `bootId` only the ends are of use: the rest is gone (`sameBoot` false). */
export function readLogbook(path: string, bootId: string): { readonly sameBoot: boolean; readonly runs: ReadonlyMap<RunId, RunState> } {
  const runs = new Map<RunId, RunState>();
  let sameBoot = false;
  for (const text of readFileSync(path, "utf8").split("\n")) {
    const line = parse(text);
    if (line === undefined) continue;
    if ("boot" in line) sameBoot = line.boot === bootId;
    else runs.set(line.id, { ...runs.get(line.id), ...line });
  }
  return { sameBoot, runs };
}

/** The last line may be cut. */
function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
