/** One `up` per data folder: a file with the pid of the one that uses it. What a killed one left behind does not count. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AppError, asError } from "fleetcron-shared/base/errors";

/** Takes the folder; the returned function gives it back. */
export function lockDataDir(dataDir: string): () => void {
  const path = join(dataDir, "up.pid");
  const take = () => writeFileSync(path, `${process.pid}\n`, { flag: "wx" });
  try {
    take();
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") {
      throw new AppError("config/data-dir", `the data folder ${dataDir} cannot be written: ${asError(thrown).message}`, {
        cause: thrown,
        hint: "choose another with --data-dir",
      });
    }
    const holder = Number(readFileSync(path, "utf8"));
    if (isUp(holder)) {
      throw new AppError("config/data-dir", `another \`fleetcron up\` (pid ${holder}) uses ${dataDir}`, {
        hint: "end that one, or choose another folder with --data-dir",
      });
    }
    rmSync(path, { force: true });
    take();
  }
  return () => rmSync(path, { force: true });
}

function isUp(pid: number): boolean {
  try {
    return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("fleetcron");
  } catch {
    return false;
  }
}
