/** What `run logs` lets through: everything to a pipe, text and colours to a terminal. */
import test from "ava";
import { testContext } from "../../../../test/support/cli-context.ts";
import type { ApiClient } from "../client/api.ts";
import type { LogPart } from "../http/log-schema.ts";
import { type LogOptions, showLogs } from "./run-logs.ts";

const ESC = "\u001b";
const OUTPUT = `${ESC}[31mred${ESC}[0m\r\n${ESC}[2J${ESC}]0;title\u0007 ü\u0000`;

/** Shows `log` in parts of `size` bytes. */
async function shown(log: string, size: number, options: LogOptions, terminal: boolean, env: Record<string, string> = {}) {
  const bytes = Buffer.from(log);
  const it = testContext({ now: "2027-01-01T00:00:00Z", terminal, env });
  const part = (from: number): LogPart => {
    const next = Math.min(bytes.length, from + size);
    return { attempt: 1, offset: from, next, size: bytes.length, skipped: from === 0 ? 0 : 2048, bytes: bytes.subarray(from, next) };
  };
  const api = { log: async (_: string, query: { from?: number }) => part(query.from ?? 0) } as unknown as ApiClient;
  await showLogs({ ...it.context, api: async () => api }, "e", options);
  return it;
}

test("a pipe gets the bytes", async (t) => {
  for (const size of [1, 3, 1000]) t.is(Buffer.from((await shown(OUTPUT, size, {}, false)).out(), "latin1").toString(), OUTPUT);
});

test("a terminal gets text and colours, and sees what it must not obey", async (t) => {
  const expected = `${ESC}[31mred${ESC}[0m\n\\x1b[2J\\x1b]0;title\\x07 ü\\x00${ESC}[0m\n`;
  for (const size of [1, 2, 3, 5, 1000]) t.is((await shown(OUTPUT, size, {}, true)).out(), expected, `pieces of ${size}`);
  t.is((await shown(OUTPUT, 1000, {}, true, { NO_COLOR: "1" })).out(), "red\n\\x1b[2J\\x1b]0;title\\x07 ü\\x00\n");
  t.is(Buffer.from((await shown(OUTPUT, 1000, { raw: true }, true)).out(), "latin1").toString(), OUTPUT);
});

test("what is missing is told beside the output", async (t) => {
  const it = await shown("abc", 2, {}, false);
  t.is(it.out(), "abc");
  t.is(it.err(), "… 2.0 KiB were cut out of the log …\n");
});
