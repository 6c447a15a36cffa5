/** What ssh takes from its surroundings, given by the main file: nothing in this folder reads the process's environment. */
import { userInfo } from "node:os";
import { join } from "node:path";

export type SshEnvironment = {
  /** Whose `~/.ssh` is read. */
  readonly home: string;
  /** Login name where neither target nor config has one. */
  readonly user: string;
  /** `SSH_AUTH_SOCK`. */
  readonly agentSocket?: string;
  /** Folder of the system's `ssh_config` and `ssh_known_hosts`. Default `/etc/ssh`. */
  readonly systemFolder?: string;
};

/** `env` is the process's environment. */
export function sshEnvironment(env: Readonly<Record<string, string | undefined>>): SshEnvironment {
  const { username, homedir } = userInfo();
  const { HOME: home, SSH_AUTH_SOCK: agentSocket } = env;
  return { home: home || homedir, user: username, ...(agentSocket ? { agentSocket } : {}) };
}

/** `~/.ssh` */
export function sshFolder(environment: Pick<SshEnvironment, "home">): string {
  return join(environment.home, ".ssh");
}

/** `/etc/ssh` */
export function systemFolder(environment: Pick<SshEnvironment, "systemFolder">): string {
  return environment.systemFolder ?? "/etc/ssh";
}

/** The usual key files, in the order in which they are tried. */
export function usualKeys(environment: Pick<SshEnvironment, "home">): string[] {
  return ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => join(sshFolder(environment), name));
}
