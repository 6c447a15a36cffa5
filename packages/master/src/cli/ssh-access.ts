/** How a command logs in to hosts: options, the environment and questions on the terminal. Secrets are never arguments. */
import { resolve } from "node:path";
import { AppError } from "fleetcron-shared/base/errors";
import { parseSshTarget } from "fleetcron-shared/model/runners/ssh-target";
import type { SshLogin } from "fleetcron-shared/ssh/login";
import type { HostAccess } from "../install/on-host.ts";
import { checkPrefix } from "../install/places.ts";
import type { Context } from "./context.ts";

export type AccessOptions = {
  readonly key?: string;
  readonly password?: boolean;
  readonly askPassphrase?: boolean;
  readonly hostKeys: "strict" | "accept-new";
  readonly prefix?: string;
};

/** Asks at most once for each secret: it is for all hosts. */
export async function readAccess(context: Context, options: AccessOptions): Promise<HostAccess> {
  const { key, password, askPassphrase, hostKeys, prefix } = options;
  if (askPassphrase === true && key === undefined)
    throw new AppError("input/usage", "--ask-passphrase is for the key of --key", { hint: "give both, or load the key into an ssh-agent" });
  const login: SshLogin = {
    ...(key === undefined ? {} : { key: resolve(context.io.cwd, key) }),
    ...(askPassphrase === true
      ? { passphrase: await secretLine(context, "FLEETCRON_SSH_PASSPHRASE", "--ask-passphrase", `passphrase of ${key}: `) }
      : {}),
    ...(password === true
      ? { password: await secretLine(context, "FLEETCRON_SSH_PASSWORD", "--password", "password of the users on the hosts: ") }
      : {}),
  };
  return { login, hostKeys, prefix: prefix === undefined ? undefined : checkPrefix(prefix) };
}

async function secretLine({ io }: Context, variable: string, option: string, question: string): Promise<string> {
  const given = io.env[variable];
  if (given !== undefined && given !== "") return given;
  if (io.hiddenLine === undefined)
    throw new AppError("input/usage", `${option} asks on the terminal, and standard input is none`, {
      hint: `set ${variable} in the environment instead`,
    });
  const answer = await io.hiddenLine(question);
  if (answer === "") throw new AppError("input/usage", "nothing was typed");
  return answer;
}

/** Refuses what is no host, or stands there twice, before anything is begun. */
export function checkHosts(hosts: readonly string[]): void {
  for (const [index, host] of hosts.entries()) {
    const parsed = parseSshTarget(host);
    if ("wrong" in parsed)
      throw new AppError("input/usage", `"${host}": ${parsed.wrong}`, {
        hint: "write it as [user@]host[:port], or as an alias of ~/.ssh/config",
      });
    if (hosts.indexOf(host) !== index) throw new AppError("input/usage", `${host} is named twice`);
  }
}
