/** What decides about deliveries: limits, patterns that would hold the master up, payloads of any shape. */
import test from "ava";
import { readGitEvent } from "./git-event.ts";
import { matchesAny } from "./match.ts";
import { createRateLimit } from "./rate-limit.ts";

test("a limit lets a burst through, then so many in a time, for each name", (t) => {
  let now = 0;
  const limit = createRateLimit({ clock: { mono: () => now } }, { burst: 3, everyMs: 1000 });
  t.deepEqual(
    [1, 2, 3, 4].map(() => limit.take("a")),
    [true, true, true, false],
  );
  t.false(limit.allows("a"));
  t.true(limit.take("b"));
  now = 1000;
  t.true(limit.allows("a"));
  t.deepEqual([limit.take("a"), limit.take("a")], [true, false]);
  now = 1e9;
  t.deepEqual(
    [1, 2, 3, 4].map(() => limit.take("a")),
    [true, true, true, false],
    "rest does not add up without end",
  );
});

test("a pattern that takes for ever does not match, and does not hold anybody up", (t) => {
  const began = performance.now();
  t.false(matchesAny(["/^(a+)+$/"], `${"a".repeat(200)}!`));
  t.true(performance.now() - began < 2000);
  t.true(matchesAny(undefined, "x"));
  t.true(matchesAny(["main", "/^(a+)+$/"], "aaa"));
});

test("payloads of any shape are read without harm", (t) => {
  const strange = [
    null,
    1,
    "x",
    [],
    {},
    { object_kind: "push" },
    { object_kind: "push", ref: 7 },
    { object_kind: "push", ref: "refs/heads/" },
  ];
  for (const payload of strange) t.truthy(readGitEvent("gitlab", {}, payload).ignored, JSON.stringify(payload));
  const bare = readGitEvent("gitlab", {}, { object_kind: "push", ref: "refs/heads/a/b", after: "c0ffee", commits: [null, 3], project: 5 });
  t.like("event" in bare ? bare.event : {}, { branch: "a/b", commit: "c0ffee", message: "", author: "", repository: "" });
});
