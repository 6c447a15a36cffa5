/** `fleetcron audit ls`. */
import type { AuditPage } from "../http/access-schema.ts";
import { parseInstant } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanTime, plain } from "./human.ts";
import { type ListOptions, showListing } from "./list.ts";
import type { Column } from "./output.ts";

type AuditEntry = AuditPage["items"][number];

export type AuditOptions = ListOptions & {
  readonly since?: string;
  readonly until?: string;
  readonly who?: string;
  readonly resource?: string;
};

const DEFAULT_LIMIT = 50;

export async function listAudit(context: Context, options: AuditOptions): Promise<void> {
  const api = await context.api();
  const now = context.clock.now();
  const { since, until, who, resource } = options;
  const query = {
    ...(since === undefined ? {} : { since: parseInstant(since, "--since", now) }),
    ...(until === undefined ? {} : { until: parseInstant(until, "--until", now) }),
    ...(who === undefined ? {} : { who }),
    ...(resource === undefined ? {} : { resource }),
  };
  await showListing(context, options, {
    fetchPage: (page) => api.audit({ ...query, ...page }),
    defaultLimit: DEFAULT_LIMIT,
    name: (entry) => entry.id,
    columns: auditColumns(context),
    empty: "there are no changes that match",
  });
}

function auditColumns({ clock }: Pick<Context, "clock">): Column<AuditEntry>[] {
  return [
    { title: "AT", cell: (entry) => humanTime(entry.at, clock.now()), sort: (entry) => entry.at },
    { title: "WHO", cell: (entry) => plain(entry.who.name) },
    { title: "WHAT", cell: (entry) => plain(entry.changes.slice(0, 3).map(told).join("; ") + restOf(entry)) },
    { title: "FROM", cell: (entry) => entry.remote },
    { title: "ENTRY", cell: (entry) => entry.id },
  ];
}

function told({ kind, key, action }: AuditEntry["changes"][number]): string {
  return `${kind} ${key} ${action}`;
}

function restOf({ changes, more = 0 }: AuditEntry): string {
  const rest = Math.max(0, changes.length - 3) + more;
  return rest === 0 ? "" : `; and ${rest} more`;
}
