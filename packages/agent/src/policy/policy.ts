/**
 * The policy in force on this host: read at start (a wrong one keeps the agent from starting), read again on SIGHUP (a wrong one is reported and
 * the old one stays). It wins over whatever etcd holds. Etcd away: nothing here asks it.
 */
import { userInfo } from "node:os";
import { AppError, asAppError, formatIssue } from "fleetcron-shared/base/errors";
import type { Log } from "fleetcron-shared/base/log";
import type { Job } from "fleetcron-shared/model/job";
import { violations } from "./policy-check.ts";
import { readPolicy } from "./policy-file.ts";

const DEFAULT_FILE = "/etc/fleetcron/policy.yaml";

export type PolicyGuard = {
  /** Which rules the job breaks on this host, in words; undefined when it may run. `env`: further variables, of an order. */
  refusal(job: Job, env?: Readonly<Record<string, string>>): string | undefined;
  /** Where it is, or would be. */
  readonly file: string;
  /** The networks, as CIDR, that http jobs may reach on this host although they are not public. */
  networks(): readonly string[];
  /** Reads the file again. */
  reload(): void;
};

/** `file` undefined: the default one, if it exists. Throws `config/invalid`. */
export function openPolicy(deps: { log: Log; own: { uid: number } }, options: { file: string | undefined }): PolicyGuard {
  const { log } = deps;
  const file = options.file ?? DEFAULT_FILE;
  const own = { userNames: namesOf(deps.own.uid) };
  let policy = readPolicy(file, deps.own.uid);
  if (policy === undefined && options.file !== undefined) throw missing(file);
  if (policy !== undefined) log.info({ file }, "the host's policy is in force");
  return {
    refusal(job, env) {
      const broken = policy === undefined ? [] : violations(policy, own, job, env);
      return broken.length === 0 ? undefined : broken.join("; ");
    },
    file,
    networks: () => policy?.networks ?? [],
    reload() {
      try {
        const next = readPolicy(file, deps.own.uid);
        if (next === undefined && policy !== undefined) throw missing(file);
        policy = next;
        log.info({ file, found: policy !== undefined }, "the host's policy was read again");
      } catch (thrown) {
        const { message, issues } = asAppError(thrown);
        log.error(
          { file, error: message, issues: issues.map(formatIssue) },
          "the host's new policy is refused; the old one stays in force",
        );
      }
    },
  };
}

function missing(file: string): AppError {
  return new AppError("config/invalid", `the policy ${file} cannot be read: there is no such file`, {
    hint: "an empty file restricts nothing",
  });
}

/** The agent's user by name and number, as jobs may name it. */
function namesOf(uid: number): string[] {
  try {
    return [userInfo().username, String(uid)];
  } catch {
    return [String(uid)];
  }
}
