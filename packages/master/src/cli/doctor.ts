/**
 * `fleetcron doctor`: what could be wrong, one line each, and what to do. Only reads. The master answers for the cluster; etcd's own facts
 * come from its members' HTTP pages, asked from this host: a member that asks for a client certificate or is out of reach from here is
 * "unknown" and said so, never "ok".
 */
import { AppError, asError } from "fleetcron-shared/base/errors";
import { type ApiClient, collectPages } from "../client/api.ts";
import type { Info } from "../http/api-schema.ts";
import type { NodeView } from "../http/node-schema.ts";
import type { Colour, Context } from "./context.ts";
import { type Check, checkEtcdMember, checkEtcdMembers } from "./doctor-etcd.ts";
import { checkHistory } from "./doctor-history.ts";
import { type EtcdFacts, readEtcdFacts } from "./etcd-facts.ts";
import { humanDuration, plain } from "./human.ts";
import { printValue } from "./output.ts";

export type DoctorOptions = { readonly etcd?: readonly string[] };

const COLOURS: Record<Check["level"], Colour> = { ok: "green", warn: "yellow", fail: "red" };

export async function doctor(context: Context, options: DoctorOptions): Promise<void> {
  const checks = await examine(context, options);
  const format = context.options().output ?? "table";
  if (format === "json" || format === "yaml") await printValue(context, { checks }, format);
  else context.io.out(checks.map((check) => checkText(context, check)).join(""));
  const failed = checks.filter((check) => check.level === "fail").length;
  if (checks.some((check) => check.level === "fail" && check.outOfReach === true)) context.exitWith(6);
  else if (failed > 0) context.exitWith(1);
}

async function examine(context: Context, options: DoctorOptions): Promise<Check[]> {
  const api = await context.api();
  let info: Info;
  const askedAt = context.clock.mono();
  try {
    info = await api.info();
  } catch (thrown) {
    const error = asError(thrown);
    const hint = thrown instanceof AppError && thrown.hint !== undefined ? { todo: thrown.hint } : {};
    const outOfReach = thrown instanceof AppError && thrown.row.exit === 6 ? { outOfReach: true } : {};
    const master: Check = { level: "fail", name: "master", text: error.message, ...hint, ...outOfReach };
    return options.etcd === undefined ? [master] : [master, ...(await examineEtcd(context, options.etcd))];
  }
  const tookMs = context.clock.mono() - askedAt;
  return [
    {
      level: "ok",
      name: "master",
      text: `${api.server} answers in ${humanDuration(tookMs)}: Fleetcron ${info.version}, cluster ${info.cluster}`,
    },
    ...checkMaster(info, context.io.version),
    ...checkHistory(info),
    ...checkNodes(await readNodes(api)),
    ...(await examineEtcd(context, options.etcd ?? info.etcd.endpoints)),
  ];
}

/** Versions, the leader, and whether the master reaches its etcd. */
function checkMaster(info: Info, ownVersion: string): Check[] {
  const version: Check[] =
    info.version === ownVersion
      ? []
      : [
          {
            level: "warn",
            name: "version",
            text: `this command line is ${ownVersion}, the master ${info.version}`,
            todo: "use the same version on both sides",
          },
        ];
  const leader: Check =
    info.leader === null
      ? {
          level: "fail",
          name: "leader",
          text: "no master leads: nothing is dispatched and no record is filed",
          todo: "look at the masters' logs; a leader is elected within seconds once etcd answers",
        }
      : { level: "ok", name: "leader", text: `${info.leader.master} leads since ${info.leader.since}` };
  const etcd: Check[] = info.etcd.reachable
    ? []
    : [
        {
          level: "fail",
          name: "etcd",
          text: "the master does not reach etcd",
          todo: "look at the master's log; check its --etcd, certificates and the network between them",
        },
      ];
  return [...version, leader, ...etcd];
}

function checkNodes(nodes: readonly NodeView[]): Check[] {
  if (nodes.length === 0)
    return [
      {
        level: "warn",
        name: "nodes",
        text: "no node has registered: nothing can run",
        todo: "start `fleetcron-agent` with the master's --etcd and --prefix",
      },
    ];
  const offline = nodes.filter((node) => !node.online).map((node) => node.id);
  const checks: Check[] =
    offline.length === 0
      ? [{ level: "ok", name: "nodes", text: `all ${nodes.length} online` }]
      : [
          {
            level: "warn",
            name: "nodes",
            text: `${offline.length} of ${nodes.length} offline: ${some(offline)}`,
            todo: "start their agents, or `fleetcron node forget ID` for those that will not come back",
          },
        ];
  const full = nodes.filter((node) => node.online && node.queued > 0).map((node) => `${node.id} (${node.queued} waiting)`);
  if (full.length > 0)
    checks.push({
      level: "warn",
      name: "capacity",
      text: `executions wait for a free place on ${some(full)}`,
      todo: "raise the agent's --capacity, or spread the jobs",
    });
  const draining = nodes.filter((node) => node.draining).map((node) => node.id);
  if (draining.length > 0)
    checks.push({
      level: "warn",
      name: "drained",
      text: `${some(draining)} take no new work`,
      todo: "`fleetcron node undrain ID` ends that",
    });
  return checks;
}

async function examineEtcd(context: Context, endpoints: readonly string[]): Promise<Check[]> {
  const facts: EtcdFacts[] = await Promise.all(endpoints.map((endpoint) => readEtcdFacts({ clock: context.clock, fetch }, endpoint)));
  return [...facts.flatMap(checkEtcdMember), ...checkEtcdMembers(facts)];
}

async function readNodes(api: ApiClient): Promise<readonly NodeView[]> {
  const fetchPage = (limit: number, cursor: string | undefined) => api.nodes(cursor === undefined ? { limit } : { limit, cursor });
  return (await collectPages(fetchPage, Number.POSITIVE_INFINITY)).items;
}

function checkText({ paint }: Context, check: Check): string {
  const todo = check.todo === undefined ? "" : `      to do: ${plain(check.todo)}\n`;
  return `${paint(COLOURS[check.level], check.level.padEnd(4))}  ${plain(check.name)}: ${plain(check.text)}\n${todo}`;
}

function some(names: readonly string[]): string {
  return names.length <= 5 ? names.join(", ") : `${names.slice(0, 5).join(", ")} and ${names.length - 5} more`;
}
