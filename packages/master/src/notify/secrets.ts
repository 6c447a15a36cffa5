/**
 * The secrets of a channel, found on this master's host when they are needed and not kept. Files only from the folder for them and variables only by
 * their prefix, so that who may edit channels cannot send the rest of the host anywhere. What goes out to logs, etcd or people passes `scrub`.
 */
import { readFile, realpath } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { AppError, asError } from "fleetcron-shared/base/errors";
import { SECRET_MASK, type SecretText } from "fleetcron-shared/model/channel";
import { SECRET_ENV_PATTERN } from "fleetcron-shared/model/channel-schema";

export type SecretSource = { readonly env: Readonly<Record<string, string | undefined>>; readonly secretsDir: string };

/** What one try has to keep to itself. */
export type SecretsInUse = {
  /** The secret itself; `what` names it in errors. Throws `channel/secret`. */
  read(what: string, value: SecretText): Promise<string>;
  /** The text without any secret that was read. */
  scrub(text: string): string;
};

const MAX_SECRET = 8192;
/** What is shorter is no secret, and would blot out words. */
const MIN_SECRET = 3;
/** Parts of an address that may be its secret: not short ones, not words such as `services`. */
const SECRET_PART = /^(?=.*[0-9A-Z]).{6,}$|^.{16,}$/;

export function openSecrets(source: SecretSource): SecretsInUse {
  const known = new Set<string>();
  return {
    async read(what, value) {
      const text =
        typeof value === "string" ? value : "env" in value ? fromEnv(source, what, value.env) : await fromFile(source, what, value.file);
      for (const piece of piecesOf(text)) known.add(piece);
      return text;
    },
    scrub(text) {
      let clean = text;
      for (const secret of [...known].sort((a, b) => b.length - a.length)) clean = clean.replaceAll(secret, SECRET_MASK);
      return clean;
    },
  };
}

function fromEnv({ env }: SecretSource, what: string, name: string): string {
  const value = SECRET_ENV_PATTERN.test(name) ? env[name] : undefined;
  if (value !== undefined && value !== "") return value;
  throw new AppError("channel/secret", `the ${what} is to be in ${name}, which this master's environment does not have`, {
    hint: "set it for every master, and start them again",
  });
}

async function fromFile({ secretsDir }: SecretSource, what: string, file: string): Promise<string> {
  const path = resolve(secretsDir, file);
  const hint = `every master's host needs it, readable by the master, below ${secretsDir}`;
  let text: string;
  try {
    const [folder, real] = await Promise.all([realpath(secretsDir), realpath(path)]);
    if (!real.startsWith(join(folder, sep))) {
      throw new AppError("channel/secret", `the ${what} is to be in ${path}, which is not below the folder for secrets`, {
        hint: `put it below ${secretsDir}, or set notifySecretsDir`,
      });
    }
    text = (await readFile(real, "utf8")).trim();
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const { code } = thrown as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "this user may not read it" : asError(thrown).message;
    throw new AppError("channel/secret", `the ${what} is to be in ${path}: ${why}`, { hint });
  }
  if (text === "" || text.length > MAX_SECRET) {
    throw new AppError("channel/secret", `${path} is ${text === "" ? "empty" : "too long for a secret"}`, { hint });
  }
  return text;
}

/** The secret, the parts of it that would be enough when it is an address, and how they look when encoded. */
function piecesOf(secret: string): string[] {
  const url = URL.canParse(secret) ? new URL(secret) : undefined;
  const isAddress = url !== undefined && /^https?:$/.test(url.protocol);
  const parts = isAddress
    ? [url.pathname + url.search, url.password, url.username, ...url.pathname.split("/"), ...url.searchParams.values()].filter((part) =>
        SECRET_PART.test(part),
      )
    : [];
  const bare = isAddress && url.pathname === "/" && url.search === "";
  const pieces = [...(bare ? [] : [secret]), ...parts].filter((part) => part.length >= MIN_SECRET);
  return pieces.flatMap((part) => [part, encodeURIComponent(part), JSON.stringify(part).slice(1, -1)]);
}
