import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { MASTER_METRICS } from "fleetcron/metrics/table";
import { AGENT_METRICS } from "fleetcron-agent/metrics/table";
import type { MetricRow } from "fleetcron-shared/base/metric-row";
import { parse } from "yaml";

const read = (path: string) => readFileSync(join(import.meta.dirname, "..", path), "utf8");
const TABLE: Readonly<Record<string, MetricRow>> = { ...MASTER_METRICS, ...AGENT_METRICS };

/** What is wrong with the metrics that an expression names. */
function faults(expression: string): string[] {
  const names = [...expression.matchAll(/\b(?:fleetcron|nodejs|process)_[a-z0-9_]+/g)].map(([name]) => name);
  return names.flatMap((name) => {
    if (!name.startsWith("fleetcron_")) return [];
    const base = name.replace(/_(bucket|sum|count)$/, "");
    const row = TABLE[name] ?? TABLE[base];
    if (row === undefined) return [`there is no ${name}`];
    if ((row.type === "histogram") !== (base !== name && TABLE[name] === undefined)) return [`${name} is a ${row.type}`];
    const used = [...expression.matchAll(new RegExp(`${name}\\{([^}]*)\\}`, "g"))].flatMap(([, inner = ""]) =>
      [...inner.matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label ?? ""),
    );
    return used
      .filter((label) => !(row.labels ?? []).includes(label) && label !== "instance")
      .map((label) => `${name} has no label ${label}`);
  });
}

test("the alert rules name metrics that there are, with labels that they have", (t) => {
  const file = parse(read("examples/alerts.yaml")) as {
    groups: { rules: { alert: string; expr: string; labels: object; annotations: { summary: string } }[] }[];
  };
  const rules = file.groups.flatMap((group) => group.rules);
  t.true(rules.length >= 10);
  for (const { alert, expr, annotations } of rules) {
    t.regex(alert, /^Fleetcron[A-Z]/);
    t.true(annotations.summary.length > 10, alert);
    t.regex(expr, /_/);
    t.deepEqual(faults(expr), [], alert);
  }
});

test("so does the dashboard, and it shows every metric of the tables but those that say who somebody is", (t) => {
  const board = JSON.parse(read("examples/grafana.json")) as { panels: { title: string; targets: { expr: string }[] }[] };
  const all = board.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));
  for (const { title, expr } of all) t.deepEqual(faults(expr), [], title);
  const text = JSON.stringify(board);
  const unseen = Object.keys(TABLE).filter((name) => !text.includes(name));
  t.deepEqual(unseen.sort(), [
    "fleetcron_agent_draining",
    "fleetcron_agent_info",
    "fleetcron_agent_jobs",
    "fleetcron_agent_records_total",
    "fleetcron_master_info",
    "fleetcron_master_ready",
    "fleetcron_master_view_live",
  ]);
});

test("names follow Prometheus' conventions, and no label grows with the fleet", (t) => {
  for (const [name, { type, labels = [], buckets, help }] of Object.entries(TABLE)) {
    t.regex(name, /^fleetcron_(agent|master)_[a-z_]+$/);
    t.is(name.endsWith("_total"), type === "counter", name);
    if (type === "histogram") {
      t.regex(name, /_seconds$/);
      t.deepEqual(
        [...(buckets ?? [])].sort((a, b) => a - b),
        [...(buckets ?? [])],
        name,
      );
    }
    t.true(help.length > 0);
    for (const label of labels)
      t.false(["job", "group", "pipeline", "execution", "run", "user", "token"].includes(label), `${name} ${label}`);
  }
  t.deepEqual(faults("rate(fleetcron_agent_nothing_total[5m])"), ["there is no fleetcron_agent_nothing_total"]);
  t.deepEqual(faults('fleetcron_agent_ticks_total{job="x"}'), ["fleetcron_agent_ticks_total has no label job"]);
});
