/**
 * Which master a command speaks to, and with which token. In order: the option, the environment, `~/.config/fleetcron/config.yaml`; the
 * server is else the local one, and a local server's token is read from the data folder that the master wrote it to. A token of the config
 * file is only sent to the server that stands beside it there.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError, asError } from "fleetcron-shared/base/errors";
import { suggestHint } from "fleetcron-shared/base/suggest";
import type { GlobalOptions } from "./context.ts";
import type { Io } from "./io.ts";

const DEFAULT_SERVER = "http://127.0.0.1:7800";
/** Where `up` and `serve` keep their data unless told otherwise. */
const DEFAULT_DATA_DIR = ".fleetcron";
/** In the data folder: the token that the master made at its first start. */
export const ADMIN_TOKEN_FILE = "admin-token";

export type Settings = { readonly server: string; readonly token: string | undefined };

export async function resolveSettings(
  io: Pick<Io, "env" | "home" | "cwd">,
  options: Pick<GlobalOptions, "server" | "token">,
): Promise<Settings> {
  const config = await readConfig(configPath(io));
  const server = checkServer(options.server ?? given(io.env.FLEETCRON_SERVER) ?? config.server ?? DEFAULT_SERVER);
  const ofConfig = config.server === undefined || checkServer(config.server) === server ? config.token : undefined;
  const token = options.token ?? given(io.env.FLEETCRON_TOKEN) ?? ofConfig ?? (isLoopback(server) ? await localToken(io) : undefined);
  return { server, token: token === undefined ? undefined : checkToken(token) };
}

/** Whether somebody has said which master to speak to; else it is a guess at a local one. */
export async function isServerGiven(io: Pick<Io, "env" | "home">, options: Pick<GlobalOptions, "server">): Promise<boolean> {
  return (options.server ?? given(io.env.FLEETCRON_SERVER) ?? (await readConfig(configPath(io))).server) !== undefined;
}

/** The data folder that the environment names, else the usual one; relative to the working folder. */
export function dataDirOf(env: Io["env"]): string {
  return given(env.FLEETCRON_DATA_DIR) ?? given(env.FLEETCRON_MASTER_DATA_DIR) ?? DEFAULT_DATA_DIR;
}

function configPath(io: Pick<Io, "env" | "home">): string {
  return join(given(io.env.XDG_CONFIG_HOME) ?? join(io.home, ".config"), "fleetcron", "config.yaml");
}

async function readConfig(path: string): Promise<{ server?: string; token?: string }> {
  const text = await readIfThere(path);
  if (text === undefined) return {};
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (cause) {
    throw new AppError("config/invalid", `${path} is not YAML: ${asError(cause).message.split("\n")[0]}`, { cause });
  }
  const names = ["server", "token"] as const;
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new AppError("config/invalid", `${path} must hold the keys ${names.join(" and ")}`);
  const issues = Object.entries(value).flatMap(([key, one]) => {
    if (!(names as readonly string[]).includes(key))
      return [{ file: path, path: key, message: "unknown key", hint: suggestHint(key, names) }];
    return typeof one === "string" ? [] : [{ file: path, path: key, message: "must be a text" }];
  });
  if (issues.length > 0) throw new AppError("config/invalid", `${path} is not accepted`, { issues });
  return value;
}

async function localToken(io: Pick<Io, "env" | "cwd">): Promise<string | undefined> {
  const text = await readIfThere(join(resolve(io.cwd, dataDirOf(io.env)), ADMIN_TOKEN_FILE));
  return text === undefined || text.trim() === "" ? undefined : text.trim();
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return undefined;
    throw new AppError("input/unreadable", `${path} cannot be read: ${asError(thrown).message}`, { cause: thrown });
  }
}

/** The address without a slash at its end. */
export function checkServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    (url.protocol !== "http:" && url.protocol !== "https:") ||
    url.username !== "" ||
    url.search !== "" ||
    url.hash !== ""
  ) {
    throw new AppError("input/usage", `"${text}" is not the address of a master`, {
      hint: "write it as http://HOST:PORT or https://HOST[:PORT]",
    });
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

function checkToken(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new AppError("input/usage", "the token holds characters that no token has", {
    hint: "check --token, FLEETCRON_TOKEN or the config file for spaces and line breaks",
  });
}

export function isLoopback(server: string): boolean {
  const { hostname } = new URL(server);
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function given(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
