/**
 * Users and groups of this host. The files in /etc are read first; a name that is not in them is asked of the name service (LDAP and the like) with
 * getent and id. Answers are remembered for some seconds, so that a burst of starts asks once.
 */
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import type { Clock, MonoMs } from "fleetcron-shared/base/clock";

const REMEMBER_MS = 5000;

export type User = {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** The home folder if it is there, else `/`, as cron does it. */
  readonly startIn: string;
  /** All groups of the user, the primary one included. */
  readonly groups: readonly number[];
};

export type Users = {
  /** By name or by number as text; undefined when there is none. */
  user(nameOrUid: string): Promise<User | undefined>;
  /** The group's number, by name or by number as text; a number need not be in the group file. */
  gid(nameOrGid: string): Promise<number | undefined>;
};

type Row = readonly string[];

/** `etc` is the folder of `passwd` and `group`. */
export function openUsers(deps: { clock: Pick<Clock, "mono"> }, options: { etc?: string } = {}): Users {
  const etc = options.etc ?? "/etc";
  return {
    user: remembered(deps.clock, (nameOrUid) => lookUpUser(etc, nameOrUid)),
    gid: remembered(deps.clock, (nameOrGid) => lookUpGid(etc, nameOrGid)),
  };
}

async function lookUpUser(etc: string, nameOrUid: string): Promise<User | undefined> {
  const local = (await rows(`${etc}/passwd`)).find(matches(nameOrUid));
  const row = local ?? (await getent("passwd", nameOrUid));
  if (row === undefined) return undefined;
  const [name = "", , uid, gid, , home = ""] = row;
  const primary = Number(gid);
  const groups = local === undefined ? await groupsByService(name) : await groupsByFile(etc, name);
  return {
    name,
    uid: Number(uid),
    gid: primary,
    home: home || "/",
    startIn: await folderOrRoot(home),
    groups: [...new Set([primary, ...groups])],
  };
}

async function lookUpGid(etc: string, nameOrGid: string): Promise<number | undefined> {
  const row = (await rows(`${etc}/group`)).find(matches(nameOrGid)) ?? (await getent("group", nameOrGid));
  if (row !== undefined) return Number(row[2]);
  return isNumber(nameOrGid) ? Number(nameOrGid) : undefined;
}

function remembered<T>(clock: Pick<Clock, "mono">, lookUp: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const answers = new Map<string, { until: MonoMs; answer: Promise<T> }>();
  return (key) => {
    const known = answers.get(key);
    if (known !== undefined && clock.mono() < known.until) return known.answer;
    const answer = lookUp(key);
    answers.set(key, { until: clock.mono() + REMEMBER_MS, answer });
    return answer;
  };
}

async function folderOrRoot(path: string): Promise<string> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? path : "/";
}

/** passwd and group agree: the name is the first field, the number the third. */
function matches(nameOrNumber: string): (row: Row) => boolean {
  return isNumber(nameOrNumber) ? (row) => row[2] === nameOrNumber : (row) => row[0] === nameOrNumber;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

async function rows(path: string): Promise<Row[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .split("\n")
    .filter((line) => line.includes(":"))
    .map((line) => line.split(":"));
}

async function getent(database: "passwd" | "group", key: string): Promise<Row | undefined> {
  if (key === "" || key.startsWith("-")) return undefined;
  const text = await run("getent", [database, key]);
  return text === undefined ? undefined : text.trim().split(":");
}

async function groupsByFile(etc: string, name: string): Promise<number[]> {
  const mine = (await rows(`${etc}/group`)).filter((group) => (group[3] ?? "").split(",").includes(name));
  return mine.map((group) => Number(group[2]));
}

async function groupsByService(name: string): Promise<number[]> {
  return ((await run("id", ["-G", "--", name])) ?? "").split(/\s+/).filter(isNumber).map(Number);
}

/** The output, or undefined when the program fails or is missing. */
async function run(file: string, args: readonly string[]): Promise<string | undefined> {
  try {
    return (await promisify(execFile)(file, args, { timeout: 10_000 })).stdout;
  } catch {
    return undefined;
  }
}
