import test from "ava";
import { testContext } from "../../../../test/support/cli-context.ts";
import { applyText } from "./apply.ts";

test("each change with its diff, the rule in words and its next ticks, and a line that sums up", (t) => {
  const { context } = testContext({ now: "2027-01-01T00:00:00.000Z" });
  const next = ["2027-01-01T00:05:00.000Z", "2027-01-01T00:10:00.000Z"];
  const rules = [{ id: "r1", words: "Every 5 minutes", next }];
  const changes = [
    { key: "db/backup", action: "created" as const, diff: ["+ kind: alone"], rules, revision: 7 },
    { key: "db/once", action: "updated" as const, rules: [{ id: "r1", words: "once on each node", next: [] }] },
    { key: "db/same", action: "unchanged" as const, rules },
    { key: "db/old", action: "deleted" as const, diff: ["- kind: common"] },
  ];
  t.is(
    applyText(context, { changes, dryRun: false }),
    [
      "+ db/backup created",
      "    + kind: alone",
      "    r1: Every 5 minutes, in 5m",
      "      next 2027-01-01T00:05:00Z, 2027-01-01T00:10:00Z",
      "~ db/once updated",
      "    r1: once on each node",
      "      no tick by the clock",
      "= db/same unchanged",
      "- db/old deleted",
      "    - kind: common",
      "1 created, 1 updated, 1 deleted, 1 unchanged",
      "",
    ].join("\n"),
  );
  const dry = applyText(context, { changes: changes.slice(0, 1), dryRun: true });
  t.true(dry.startsWith("+ db/backup would be created\n"));
  t.true(dry.endsWith("dry run, nothing was written: 1 created\n"));
});
