/**
 * Where an installation keeps its parts on a host. The usual folder of root has its configuration and data where a package would put them; any other folder holds
 * everything itself.
 */
import { AppError } from "fleetcron-shared/base/errors";

export type Places = {
  readonly prefix: string;
  readonly config: string;
  /** Unless the configuration names another. */
  readonly dataDir: string;
  /** The script that starts the agent where systemd does not run. */
  readonly ctl: string;
  readonly unit: string;
};

export const ROOT_PREFIX = "/opt/fleetcron";

export function placesOf(prefix: string): Places {
  const isUsual = prefix === ROOT_PREFIX;
  return {
    prefix,
    config: isUsual ? "/etc/fleetcron/agent.yaml" : `${prefix}/etc/agent.yaml`,
    dataDir: isUsual ? "/var/lib/fleetcron-agent" : `${prefix}/data`,
    ctl: `${prefix}/fleetcron-agent-ctl`,
    unit: "/etc/systemd/system/fleetcron-agent.service",
  };
}

/** A folder of a host: absolute, and of characters that mean nothing to a shell, systemd or cron. Throws `input/usage`. */
export function checkPrefix(text: string): string {
  const prefix = text.length > 1 ? text.replace(/\/+$/, "") : text;
  if (/^(?:\/[A-Za-z0-9._@+-]+)+$/.test(prefix) && !/\/\.\.?(?:\/|$)/.test(prefix) && prefix.split("/").length > 2) return prefix;
  throw new AppError("input/usage", `"${text}" cannot be the folder of an installation`, {
    hint: "give an absolute path of at least two names, of letters, digits and ._@+-, such as /opt/fleetcron",
  });
}
