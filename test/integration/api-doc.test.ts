import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import test from "ava";
import { startEtcd } from "../support/etcd.ts";
import { startMasterProcess } from "../support/master.ts";

/** The shell of docs/api.md, in order: each line that is marked `#> …` must print that. */
test("the curl examples of docs/api.md do what they say, against a real master", async (t) => {
  await using etcd = await startEtcd();
  await using master = await startMasterProcess(etcd);
  const doc = readFileSync(join(import.meta.dirname, "../../docs/api.md"), "utf8");
  const blocks = [...doc.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? "");
  t.true(blocks.length >= 9);
  const [first = "", ...rest] = blocks;
  const head = first.replace(/^export .*$/m, `export SERVER=${master.url} TOKEN=${master.token}`);
  t.not(head, first);
  const wanted: string[] = [];
  const marked = rest
    .join("\n")
    .split("\n")
    .map((line) => {
      const want = /\s+#> (.+)$/.exec(line)?.[1];
      if (want === undefined) return line;
      wanted.push(want);
      // A line of its own in the output, so that answers before it do not matter.
      return `echo; echo "@@ $(${line.replace(/\s+#> .+$/, "")})"`;
    });
  const shell = spawn("bash", ["-euo", "pipefail"], { stdio: ["pipe", "pipe", "pipe"] });
  shell.stdin.end([head, ...marked].join("\n"));
  const [out, errors, code] = await Promise.all([
    text(shell.stdout),
    text(shell.stderr),
    new Promise<number | null>((resolve) => shell.once("close", resolve)),
  ]);
  t.is(code, 0, `${out}\n${errors}`);
  t.deepEqual(
    [...out.matchAll(/^@@ (.*)$/gm)].map(([, got]) => got),
    wanted,
  );
  t.notRegex(out, /"code":"internal/);
});
