/** What every command is given: the world, the global options, a client for the master (made when first asked for), and how to print. */
import type { Clock } from "fleetcron-shared/base/clock";
import type { Random } from "fleetcron-shared/base/random";
import type { ApiClient } from "../client/api.ts";
import type { Io } from "./io.ts";

export const FORMATS = ["table", "json", "yaml", "name"] as const;
export type Format = (typeof FORMATS)[number];

/** The options that stand before or behind every command. */
export type GlobalOptions = {
  readonly server?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly output?: Format;
  /** False with --no-color. */
  readonly color: boolean;
  readonly debug?: boolean;
};

export type Context = {
  readonly io: Io;
  readonly clock: Clock;
  readonly random: Random;
  /** As given so far on the command line. */
  options(): GlobalOptions;
  api(): Promise<ApiClient>;
  readonly paint: Paint;
  /** The command ends with this code although nothing was thrown. */
  exitWith(code: number): void;
};

/** Colours text where standard output takes colour. */
export type Paint = (colour: Colour, text: string) => string;
export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

const CODES: Record<Colour, readonly [number, number]> = { red: [31, 39], green: [32, 39], yellow: [33, 39], dim: [2, 22], bold: [1, 22] };

/** Colour only on a terminal that is not a dumb one, and not with NO_COLOR or --no-color. */
export function createPaint(io: Pick<Io, "env" | "outIsTerminal">, wanted: () => boolean): Paint {
  return (colour, text) => {
    if (!io.outIsTerminal || !wanted() || (io.env.NO_COLOR ?? "") !== "" || io.env.TERM === "dumb") return text;
    const [on, off] = CODES[colour];
    return `\x1b[${on}m${text}\x1b[${off}m`;
  };
}
