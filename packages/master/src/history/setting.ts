/** The setting `history`: off, an SQLite file, or a PostgreSQL database. */
import { join, resolve } from "node:path";
import { AppError } from "fleetcron-shared/base/errors";

export type HistorySetting =
  | { readonly kind: "off" }
  /** `path` undefined: `history.db` in the master's data folder. */
  | { readonly kind: "sqlite"; readonly path: string | undefined }
  /** `where` is the URL without password and options, for people. */
  | { readonly kind: "postgres"; readonly url: string; readonly where: string };

export const HISTORY_FILE = "history.db";
const SSL_MODES = ["disable", "require", "verify-ca", "verify-full"];

/** Throws `config/invalid`, with no word of what the text holds beyond its scheme: it may hold a password. */
export function parseHistory(text: string): HistorySetting {
  if (text === "off") return { kind: "off" };
  if (text === "sqlite") return { kind: "sqlite", path: undefined };
  if (text.startsWith("sqlite:")) {
    const path = text.slice("sqlite:".length);
    if (path === "" || path.includes("\0"))
      throw invalid("`sqlite:` wants the path of a file behind it", "such as sqlite:/var/lib/fleetcron/history.db");
    return { kind: "sqlite", path };
  }
  if (/^postgres(?:ql)?:\/\//.test(text)) return parsePostgres(text);
  throw invalid("`history` is none of off, sqlite, sqlite:PATH and postgres://…", "the default is sqlite: a file in the data folder");
}

/** Where the file is, by the data folder of the master. */
export function sqlitePath(setting: Extract<HistorySetting, { kind: "sqlite" }>, dataDir: string): string {
  return setting.path === undefined ? join(dataDir, HISTORY_FILE) : resolve(setting.path);
}

function parsePostgres(text: string): HistorySetting {
  const url = URL.parse(text) ?? URL.parse(text.replace("@/", "@localhost/"));
  if (url === null)
    throw invalid(
      "the URL of `history` cannot be read",
      "it is of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %-codes for special letters",
    );
  const mode = url.searchParams.get("sslmode");
  if (mode !== null && !SSL_MODES.includes(mode)) {
    throw invalid(
      `sslmode "${mode}" of \`history\` is not known here`,
      `take one of ${SSL_MODES.join(", ")}: allow and prefer would go on without TLS when somebody in between wants that`,
    );
  }
  if (mode === "verify-ca" && !url.searchParams.has("sslrootcert"))
    throw invalid("sslmode verify-ca of `history` wants a CA certificate", "add sslrootcert=FILE");
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.host);
  const where = `postgres://${url.username === "" ? "" : `${decodeURIComponent(url.username)}@`}${host}${url.pathname}`;
  // The meaning that PostgreSQL's own programs give to sslmode.
  const options = mode === null || url.searchParams.has("uselibpqcompat") ? "" : "&uselibpqcompat=true";
  return { kind: "postgres", url: text + options, where };
}

function invalid(message: string, hint: string): AppError {
  return new AppError("config/invalid", message, { hint });
}
