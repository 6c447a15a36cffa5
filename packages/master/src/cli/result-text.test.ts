import test from "ava";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import { testContext } from "../../../../test/support/cli-context.ts";
import type { NodeDetail } from "../http/node-schema.ts";
import { nodeText, recordColumns, recordText } from "./fleet-text.ts";
import { resultText } from "./result-text.ts";

const { context } = testContext({ now: "2026-01-01T00:10:00Z" });

test("a result: one line per thing, control characters shown, the raw text last", (t) => {
  t.is(resultText(context, undefined), "");
  t.is(
    resultText(context, {
      outputs: { version: "1.2" },
      globals: { ADDR: "a\nb" },
      conditions: [
        { type: "Disk", status: "False", message: "full" },
        { type: "Init", status: "True" },
      ],
      next: ["g/a", "g/b"],
      status: "failed",
      message: "no \u001b[2J",
      problems: ["line 2 is not of the form name=value"],
      raw: "x\u0007\ny",
    }),
    [
      "reported:       failed",
      "message:        no \\x1b[2J",
      "output version: 1.2",
      "global ADDR:    a\\nb",
      "condition Disk: False: full",
      "condition Init: True",
      "next:           g/a, g/b",
      "problem:        line 2 is not of the form name=value",
      "",
      "the result as it was written:",
      "x\\x07",
      "y",
      "",
    ].join("\n"),
  );
  t.is(resultText(context, { raw: "warning" }), "\nbeside the result on stderr:\nwarning\n");
});

test("records and nodes show it", (t) => {
  const record = {
    ...{ id: "E-1", execution: "E", jobGroup: "g", jobId: "j", nodeId: "a", hostname: "h", attempt: 1, finalAttempt: true },
    ...{
      endTime: "2026-01-01T00:00:00.000Z",
      success: false,
      outcome: { type: "exit", code: 0 },
      result: { status: "failed", message: "why" },
    },
    output: { tail: "said\n", cutBytes: 0, totalBytes: 5 },
  } as ExecutionRecord;
  t.regex(recordText(context, record), /reported: +failed\nmessage: +why\n\nsaid\n$/);
  t.is(
    recordColumns(context)
      .find(({ title }) => title === "RESULT")
      ?.cell(record),
    "exit:0 (failed)",
  );
  const node = {
    ...{
      id: "a",
      hostname: "h",
      addresses: [],
      labels: {},
      capacity: 1,
      running: 0,
      queued: 0,
      version: "1",
      pid: 1,
      online: true,
      draining: false,
    },
    ...{ createdAt: record.endTime, startedAt: record.endTime, onlineSince: null, observedRevision: 1 },
    conditions: [{ type: "Disk", status: "False", message: "full", at: record.endTime, execution: "E", job: "g/j" }],
  } as unknown as NodeDetail;
  t.regex(nodeText(context, node), /condition Disk: +False, 10m ago by g\/j: full\n/);
});
