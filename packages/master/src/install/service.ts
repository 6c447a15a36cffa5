/** What starts the agent on a host: the systemd unit of this project, or a script where systemd does not run. Each carries a hash, so that a change is seen. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Places } from "./places.ts";

/** A file with its mark; the same mark stands in the file behind `# fleetcron node install`. */
export type ServiceFile = { readonly text: string; readonly mark: string };

/** `agentFolder` is the agent's package here, which ships the unit. */
export function unitFile(agentFolder: string, places: Places): ServiceFile {
  const { prefix, config, dataDir } = places;
  const program = `${prefix}/current/bin/node ${prefix}/current/packages/fleetcron-agent/bin/fleetcron-agent.js`;
  const unit = readFileSync(join(agentFolder, "systemd/fleetcron-agent.service"), "utf8")
    .replace(/^# Install with .*\n/m, "")
    .replace(
      /^ExecStart=.*$/m,
      [
        `Environment=FLEETCRON_AGENT_CONFIG=${config}`,
        `ExecStartPre=-/bin/rm -f ${prefix}/run/ready.json`,
        `ExecStart=${program} --ready-file ${prefix}/run/ready.json`,
      ].join("\n"),
    )
    // The unit's own folder of state is the usual data folder; another is made by the agent.
    .replace(/^StateDirectory=.*\n/m, (line) => (dataDir === "/var/lib/fleetcron-agent" ? line : ""));
  return marked(unit, prefix, "");
}

export function ctlFile(places: Places): ServiceFile {
  const script = readFileSync(new URL("./sh/agent-ctl.sh", import.meta.url), "utf8")
    .replace("@PREFIX@", places.prefix)
    .replace("@CONFIG@", places.config);
  return marked(script, places.prefix, "#!/bin/sh\n");
}

function marked(text: string, prefix: string, first: string): ServiceFile {
  const mark = `${prefix} ${createHash("sha256").update(text).digest("hex").slice(0, 10)}`;
  return { text: `${first}# fleetcron node install ${mark}\n${text}`, mark };
}
