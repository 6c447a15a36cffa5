/** What the agent stands on in its host, beside etcd and the clock. The simulation (test/simulation) has its own. */
import { readHost } from "./host.ts";
import { keepLogsSmall } from "./logs/retention.ts";
import { openJournal } from "./run/journal.ts";
import { openSupervisor } from "./run/supervisor.ts";
import { openUsers } from "./runners/users.ts";

export const HOST_PARTS = { readHost, openJournal, openSupervisor, openUsers, keepLogsSmall } as const;
export type HostParts = typeof HOST_PARTS;
