/**
 * The ways to log in, in the order in which they are tried: agent, keys, password. A key that was named and cannot be used is an error before anything is sent;
 * one of the usual files that cannot be used is passed over, and said when nothing else worked.
 */
import { readFileSync, statSync } from "node:fs";
import type { AnyAuthMethod, AuthHandlerMiddleware, ParsedKey } from "ssh2";
import ssh2 from "ssh2";
import { asError } from "../base/errors.ts";
import { type SshEnvironment, usualKeys } from "./environment.ts";
import { failed, SshError } from "./failure.ts";
import type { HostConfig } from "./host-config.ts";

/** What was asked for, with the secrets themselves. Empty or absent: the agent if there is one, then the keys of the config or the usual files. */
export type SshLogin = {
  readonly agent?: true;
  /** Path of a private key. */
  readonly key?: string;
  readonly passphrase?: string;
  readonly password?: string;
};

type Way = { readonly name: string; readonly needs: "publickey" | "password" | "keyboard-interactive"; readonly method: AnyAuthMethod };

export type LoginWays = {
  readonly ways: readonly Way[];
  /** What was passed over, in words. */
  readonly notes: readonly string[];
};

/** Reads the keys. Throws SshError `ssh/key` or `ssh/auth` (an agent was asked for and there is none). */
export function waysToLogIn(environment: SshEnvironment, config: HostConfig, login: SshLogin = {}): LoginWays {
  const isDefault = login.agent === undefined && login.key === undefined && login.password === undefined;
  const notes: string[] = [];
  const ways: Way[] = [];
  const socket = config.agentSocket;
  if (login.agent === true && socket === undefined)
    throw failed("ssh/auth", `${config.asked}: auth.agent is set, but the agent's environment has no SSH_AUTH_SOCK`);
  if (socket !== undefined && (login.agent === true || (isDefault && !config.identitiesOnly)))
    ways.push({ name: "the ssh-agent", needs: "publickey", method: { type: "agent", username: config.user, agent: socket } });
  if (login.key !== undefined) ways.push(keyWay(config.user, login.key, readKey(config.asked, login.key, login.passphrase)));
  if (isDefault) {
    for (const path of config.identityFiles ?? usualKeys(environment)) {
      try {
        ways.push(keyWay(config.user, path, readKey(config.asked, path, undefined)));
      } catch (error) {
        if (!(error instanceof SshError)) throw error;
        if (!(error.cause instanceof Error && "code" in error.cause && error.cause.code === "ENOENT")) notes.push(error.failure.error);
      }
    }
  }
  const { password } = login;
  if (password !== undefined) {
    const method = { type: "keyboard-interactive", username: config.user, prompt: answerWith(password) } as const;
    ways.push(
      { name: "the password", needs: "password", method: { type: "password", username: config.user, password } },
      { name: "the password (keyboard-interactive)", needs: "keyboard-interactive", method },
    );
  }
  return { ways, notes };
}

export type LoginCourse = {
  readonly handler: AuthHandlerMiddleware;
  /** Methods that the server named. */
  readonly offered: () => readonly string[];
  readonly tried: () => readonly string[];
};

/** Tries the ways one after the other, those that the server offers; after each it may ask for a further one. */
export function courseOf(user: string, { ways }: LoginWays): LoginCourse {
  const left = [...ways];
  const tried: string[] = [];
  let offered: readonly string[] = [];
  let isFirst = true;
  return {
    offered: () => offered,
    tried: () => tried,
    handler(methodsLeft, _partial, next) {
      if (isFirst) {
        // Asks nothing but what is on offer; a server may let a user in with it.
        isFirst = false;
        return next({ type: "none", username: user });
      }
      offered = methodsLeft ?? offered;
      const index = left.findIndex((way) => offered.includes(way.needs));
      const [way] = index === -1 ? [] : left.splice(index, 1);
      // `false` ends it; the types do not know that.
      if (way === undefined) return (next as (method: AnyAuthMethod | false) => void)(false);
      tried.push(way.name);
      next(way.method);
    },
  };
}

function keyWay(username: string, path: string, key: ParsedKey): Way {
  return { name: `the key ${path}`, needs: "publickey", method: { type: "publickey", username, key } };
}

function readKey(asked: string, path: string, passphrase: string | undefined): ParsedKey {
  const wrong = (why: string, cause?: unknown) => failed("ssh/key", `${asked}: the key ${path} ${why}`, cause);
  let text: string;
  try {
    const { mode, uid } = statSync(path);
    if ((mode & 0o077) !== 0 && (uid === process.getuid?.() || process.getuid?.() === 0))
      throw wrong(`may be read by others (mode ${(mode & 0o777).toString(8).padStart(4, "0")}); run: chmod 600 ${path}`);
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof SshError) throw error;
    throw wrong(`cannot be read: ${asError(error).message}`, error);
  }
  const parsed: ParsedKey | Error | ParsedKey[] = ssh2.utils.parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined) throw wrong("is empty");
  // The library's messages may quote what it was given: they stay inside.
  if (key instanceof Error) throw wrong(whyUnusable(key.message, passphrase !== undefined));
  if (!key.isPrivateKey()) throw wrong("is a public key; the private one is needed");
  return key;
}

function whyUnusable(message: string, hasPassphrase: boolean): string {
  if (/no passphrase given/i.test(message)) return "is encrypted, and no passphrase was given";
  if (hasPassphrase && /integrity|passphrase|decrypt|Malformed/i.test(message))
    return "cannot be opened with the passphrase that was given";
  return "is of no form that is known here (OpenSSH, PEM)";
}

/** Answers the one hidden question with the password; to anything else there is no answer. */
function answerWith(password: string) {
  let isAsked = false;
  return (_name: string, _about: string, _lang: string, prompts: { echo?: boolean }[], finish: (answers: string[]) => void) => {
    // The same question again means that the password was wrong: a second time would only lock the account.
    const answers = prompts.map((prompt) => (prompt.echo === true || isAsked ? "" : password));
    if (prompts.length > 0) isAsked = true;
    finish(answers);
  };
}
