/** The `NAME=value` lines of a crontab that are in force at an entry, sorted into what they mean for a job. */
import { AppError } from "../base/errors.ts";
import { zoneOf } from "./calendar/zones.ts";
import { ENV_NAME_PATTERN } from "./job-fields.ts";

type Setting = { readonly line: number; readonly value: string; used: boolean };

/** What settings make of the jobs below them. */
export type InForce = {
  readonly env: Readonly<Record<string, string>>;
  readonly shell: readonly string[] | undefined;
  readonly cwd: string | undefined;
  readonly timezone: string | undefined;
  readonly jitter: string | undefined;
};

/** Settings with no counterpart, and why. */
const DROPPED: Readonly<Record<string, string>> = {
  MAILTO: "output is kept with the records instead of being mailed",
  MAILFROM: "output is kept with the records instead of being mailed",
  CONTENT_TYPE: "output is kept with the records instead of being mailed",
  CONTENT_TRANSFER_ENCODING: "output is kept with the records instead of being mailed",
  LOGNAME: "cron does not let it be changed either",
  START_HOURS_RANGE: "it belongs to anacron",
};

export class CrontabSettings {
  readonly #settings = new Map<string, Setting>();
  readonly #note: (line: number, message: string, hint?: string) => void;

  constructor(note: (line: number, message: string, hint?: string) => void) {
    this.#note = note;
  }

  /** A line `name=value`: in force until the name is set again. */
  set(line: number, name: string, value: string): void {
    const why = refusalOf(name, value);
    if (why !== undefined) {
      this.#note(line, `${name} is not carried over: ${why}`);
      return;
    }
    this.#noteUnusedOne(name);
    if (name === "TZ" && isZone(value))
      this.#note(line, "TZ is taken as the time zone of the entries below too; some crons let it change only their environment");
    this.#settings.set(name, { line, value, used: false });
  }

  inForce(): InForce {
    const value = (name: string) => this.#settings.get(name)?.value;
    const [shell, home, tz, delay] = [value("SHELL"), value("HOME"), value("TZ"), value("RANDOM_DELAY")];
    const env = [...this.#settings].filter(([name]) => !["SHELL", "CRON_TZ", "RANDOM_DELAY"].includes(name));
    return {
      env: Object.fromEntries(env.map(([name, setting]) => [name, setting.value])),
      shell: shell === undefined || shell === "/bin/sh" ? undefined : [shell, "-c"],
      cwd: home?.startsWith("/") ? home : undefined,
      timezone: value("CRON_TZ") ?? (tz !== undefined && isZone(tz) ? tz : undefined),
      jitter: delay === undefined || delay === "0" ? undefined : `${delay}m`,
    };
  }

  /** An entry has taken over what is in force. */
  markUsed(): void {
    for (const setting of this.#settings.values()) setting.used = true;
  }

  /** Notes the lines that no entry has taken over. */
  noteUnused(): void {
    for (const name of this.#settings.keys()) this.#noteUnusedOne(name);
  }

  #noteUnusedOne(name: string): void {
    const setting = this.#settings.get(name);
    if (setting !== undefined && !setting.used) this.#note(setting.line, `${name} is set, but no imported entry uses it`);
  }
}

function refusalOf(name: string, value: string): string | undefined {
  const dropped = DROPPED[name];
  if (dropped !== undefined) return dropped;
  if (!ENV_NAME_PATTERN.test(name)) return "a variable's name has letters, digits and underscore only";
  if (name.startsWith("FLEETCRON_")) return "variables of that name are set by the agent";
  if (name === "RANDOM_DELAY" && !/^\d+$/.test(value)) return `"${value}" is not a number of minutes`;
  return undefined;
}

function isZone(name: string): boolean {
  try {
    zoneOf(name);
    return true;
  } catch (thrown) {
    if (thrown instanceof AppError) return false;
    throw thrown;
  }
}
