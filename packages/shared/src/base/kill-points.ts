/**
 * The instants between the steps of a program, by name. A test names one, and the process that passes it kills itself there, as a crash would: so each gap can
 * be shown to lose and repeat nothing. Where nobody names any, which is everywhere else, passing one is an empty call.
 */
import { readFileSync, rmSync } from "node:fs";

/**
 * `file` (FLEETCRON_KILL_AT) holds the name of a point, perhaps followed by another signal than SIGKILL, such as SIGSTOP. It is removed by the process that dies
 * there, so that it happens once.
 */
export function openKillPoints<Point extends string>(file: string | undefined): (point: Point) => void {
  if (file === undefined) return () => {};
  return (point) => {
    const [name, signal = "SIGKILL"] = textIn(file).split(" ");
    if (name !== point) return;
    rmSync(file);
    process.kill(process.pid, signal);
  };
}

function textIn(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
