import test from "ava";
import fc from "fast-check";
import { addProblems, checkResult, clip, RESULT_LIMITS, recheckResult } from "./result.ts";
import { parseResult } from "./result-text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const file = (text: string) => parseResult(bytes(text), "file");
const stderr = (text: string) => parseResult(bytes(text), "stderr");
const size = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

test("JSON: every field, numbers and booleans as text", (t) => {
  const full = {
    outputs: { version: "1.2", count: 3, done: true, empty: "" },
    globals: { ETCD_ADDRS: "10.0.0.1,10.0.0.2" },
    conditions: [
      { type: "NodeInit", status: "True", message: "all there" },
      { type: "Disk", status: false },
    ],
    next: ["install/docker", "install/network", "install/docker"],
    status: "Failure",
    message: "two\nlines",
  };
  t.deepEqual(file(JSON.stringify(full)), {
    outputs: { version: "1.2", count: "3", done: "true", empty: "" },
    globals: { ETCD_ADDRS: "10.0.0.1,10.0.0.2" },
    conditions: [
      { type: "NodeInit", status: "True", message: "all there" },
      { type: "Disk", status: "false" },
    ],
    next: ["install/docker", "install/network"],
    status: "failed",
    message: "two\nlines",
  });
  t.deepEqual(file("\n  {}\n"), {});
  t.is(file(" \n\n"), undefined);
  t.is(file(""), undefined);
  t.is(stderr("\n"), undefined);
});

test("lines: name=value, the value as it stands; what is none is told by its line", (t) => {
  t.deepEqual(file("a=1\r\nURL=http://x/?a=b \n\n__proto__=p\na=2\n"), {
    outputs: Object.fromEntries([
      ["a", "2"],
      ["URL", "http://x/?a=b "],
      ["__proto__", "p"],
    ]),
  });
  const mixed = "good=1\nno line\n=x\n9x=1\nFLEETCRON_NODE=x\n";
  t.deepEqual(file(mixed), {
    outputs: { good: "1" },
    raw: mixed,
    problems: [
      'outputs: "9x" is not a name of 1 to 63 letters, digits and _ (not FLEETCRON_…, no digit first)',
      'outputs: "FLEETCRON_NODE" is not a name of 1 to 63 letters, digits and _ (not FLEETCRON_…, no digit first)',
      "line 2 is not of the form name=value",
      "line 3 is not of the form name=value",
    ],
  });
});

test("what is wrong is left out and named, the rest is taken", (t) => {
  t.deepEqual(
    checkResult({ status: "constructor", message: [], outputs: [1], globals: null, conditions: {}, next: "g/x", extra: 1 }).problems,
    [
      'there is no field "extra"; allowed: outputs, globals, conditions, next, status, message',
      "status: succeeded or failed is expected",
      "message: a text is expected",
      "conditions: a list is expected",
      "next: a list is expected",
      'globals: names and values are expected, such as {"name": "value"}',
      'outputs: names and values are expected, such as {"name": "value"}',
    ],
  );
  const partly = checkResult({
    outputs: { list: [1], nul: "a\0b", long: "x".repeat(RESULT_LIMITS.valueBytes), ok: "yes" },
    conditions: [
      { type: "a/b", status: "x" },
      { type: "Ok", status: "" },
      { type: "Ok", status: "a\nb" },
      null,
      { type: "Ok", status: "fine" },
    ],
    next: ["nogroup", 7, "g/ok"],
  });
  t.is(checkResult({ message: "half \ud83d" }).message, "half \uFFFD");
  t.deepEqual(partly.outputs, { ok: "yes" });
  t.deepEqual(partly.conditions, [{ type: "Ok", status: "fine" }]);
  t.deepEqual(partly.next, ["g/ok"]);
  t.is(partly.problems?.length, 3 + 4 + 2);
});

test("malformed: the text is kept, capped, and said to be so", (t) => {
  t.deepEqual(file('{"outputs": {"a": '), { raw: '{"outputs": {"a": ', problems: ["it begins with { but is not valid JSON"] });
  t.deepEqual(parseResult(Uint8Array.of(0x61, 0x3d, 0xff), "file"), { raw: "a=\uFFFD", problems: ["it is not text in UTF-8"] });
  t.deepEqual(file("a=\uFFFD"), { outputs: { a: "\uFFFD" } }, "the replacement character itself is text");
  const big = parseResult(bytes("a=1\n".repeat(1000)), "file", 70_000);
  t.is(big?.outputs, undefined);
  t.regex(big?.problems?.[0] ?? "", /70000 bytes/);
  t.true(size(big?.raw) <= RESULT_LIMITS.rawBytes);
});

test("limits: a result never outgrows its record, and says what was left out", (t) => {
  const many = checkResult({ outputs: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`n${n}`, "x"])) });
  t.is(Object.keys(many.outputs ?? {}).length, RESULT_LIMITS.outputs);
  t.deepEqual(many.problems, ["outputs.n100: there are more than 100"]);
  const large = checkResult({ outputs: Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`n${n}`, "x".repeat(7000)])) });
  t.deepEqual(Object.keys(large.outputs ?? {}), ["n0", "n1", "n2", "n3"]);
  t.deepEqual(large.problems?.length, 2);
  t.is(checkResult({ next: Array.from({ length: 12 }, (_, n) => `g/${n}`) }).next?.length, RESULT_LIMITS.next);
  t.is(addProblems({}, Array.from({ length: 50 }, String)).problems?.length, RESULT_LIMITS.problems);
  t.is(clip("ab\u{1F600}cd", 8), "ab…");
  t.is(clip("0123456789", 10, "tail"), "…56789");
});

test("stderr: the JSON object at its end, whatever stands before it", (t) => {
  t.deepEqual(stderr('warning: {odd}\n{"status":"failed",\n "outputs":{"a":"{"}}\n'), {
    outputs: { a: "{" },
    status: "failed",
    raw: "warning: {odd}",
  });
  t.deepEqual(stderr('set -x {"next":["g/a"]}'), { next: ["g/a"], raw: "set -x" }, "also behind text on its line, as the first brace");
  t.deepEqual(stderr("plain words"), { raw: "plain words" });
  t.deepEqual(stderr('{"a":1} and more'), { raw: '{"a":1} and more', problems: ["stderr does not end with a valid JSON object"] });
  t.is(parseResult(bytes('cut off }\n{"status":"success"}'), "stderr", 1e9)?.status, "succeeded", "only the end of a long one is needed");
});

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc.string({ unit: "binary", maxLength: 2000 }).map(bytes),
  fc.json({ maxDepth: 5 }).map(bytes),
  fc
    .record(
      {
        outputs: fc.dictionary(fc.string(), fc.anything()),
        globals: fc.anything(),
        conditions: fc.array(fc.record({ type: fc.string(), status: fc.anything(), message: fc.anything() })),
        next: fc.array(fc.oneof(fc.string(), fc.constant("g/x"))),
        message: fc.string({ unit: "binary", maxLength: 5000 }),
      },
      { requiredKeys: [] },
    )
    .map((value) => bytes(`${safeJson(value)}`)),
);
function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return "{";
  }
}

test("whatever is written: no throw, bounded, stable when checked again", (t) => {
  const most =
    RESULT_LIMITS.keptBytes +
    RESULT_LIMITS.messageBytes +
    RESULT_LIMITS.rawBytes +
    RESULT_LIMITS.problems * (RESULT_LIMITS.problemBytes + 3) +
    5000;
  fc.assert(
    fc.property(anyBytes, fc.constantFrom("file" as const, "stderr" as const), (input, from) => {
      const result = parseResult(input, from);
      if (result === undefined) return;
      t.true(size(result) <= most);
      t.deepEqual(recheckResult(JSON.parse(JSON.stringify(result))), result);
    }),
    { numRuns: 500 },
  );
});

test("what is within the limits comes through unchanged", (t) => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,62}$/).filter((text) => !text.startsWith("FLEETCRON_"));
  const value = fc.string({ unit: "grapheme", maxLength: 50 });
  const values = fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 20 }).map((pairs) => Object.fromEntries(pairs));
  fc.assert(
    fc.property(values, values, (outputs, globals) => {
      t.deepEqual(file(JSON.stringify({ outputs, globals })), { outputs, globals });
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.stringMatching(/^[^\r\n\0]{0,40}$/)), { minLength: 1, maxLength: 20 }), (pairs) => {
      const wellFormed = pairs.map(([key, text]): [string, string] => [key, text.toWellFormed()]);
      t.deepEqual(file(wellFormed.map(([key, text]) => `${key}=${text}`).join("\n")), { outputs: Object.fromEntries(wellFormed) });
    }),
  );
});
