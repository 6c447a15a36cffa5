/** `run.ssh`: a command on hosts that have no agent, through a session of an agent that the rule's target matches. */

export type SshAuth = {
  /** The agent's own ssh-agent socket (`SSH_AUTH_SOCK`). */
  readonly agent?: true;
  /** A private key file on the agent's host. */
  readonly key?: string;
  /** Of `key`: the name of one of the job's `secrets`. */
  readonly passphrase?: string;
  /** The name of one of the job's `secrets`. */
  readonly password?: string;
};

export type SshSpec = {
  /** `[user@]host[:port]`, or aliases of the agent's ssh config. */
  readonly hosts: readonly string[];
  /** Given to `shell` on the host; exactly one of `script` and `argv`. */
  readonly script?: string;
  readonly argv?: readonly string[];
  /** Default `["/bin/sh", "-c"]`. */
  readonly shell?: readonly string[];
  readonly cwd?: string;
  readonly stdin?: string;
  /** Absent: the ssh-agent if there is one, then the keys of the ssh config or the usual files. */
  readonly auth?: SshAuth;
  /** Default `strict`: an unknown host is refused. */
  readonly hostKeys?: "strict" | "accept-new";
  /** Default: `known_hosts` of the agent's data folder, then `~/.ssh/known_hosts`, then `/etc/ssh/ssh_known_hosts`. */
  readonly knownHosts?: string;
  /** Until the connection is there and logged in. Default 15s. */
  readonly connectTimeout?: string;
  /** How long a connection may be silent (no answer to keepalives) before it counts as cut. Default 45s. */
  readonly idleTimeout?: string;
  /** Most hosts at once. Default 10. */
  readonly maxParallel?: number;
};
