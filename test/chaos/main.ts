/**
 * `node test/chaos/main.ts --seed N --seconds 600 [--faults a,b] [--net proxies]`: one chaos run. Prints the seed, the faults and the summary; on failure the
 * findings and where to look. See README.md.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemRandom } from "fleetcron-shared/base/random";
import { type Gathered, judge } from "./check/judge.ts";
import { FAULTS } from "./faults/all.ts";
import { runChaos } from "./run-chaos.ts";
import { summaryLines } from "./summary.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seconds: { type: "string", default: "600" },
    faults: { type: "string" },
    net: { type: "string" },
    judge: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const seed = values.seed === undefined ? Math.floor(systemRandom.next() * 1_000_000) : Number(values.seed);
const seconds = Number(values.seconds);
const faults = values.faults?.split(",");
const unknown = faults?.filter((name) => name !== "none" && !FAULTS.some((fault) => fault.name === name)) ?? [];
if (values.help || !Number.isInteger(seed) || !(seconds >= 60) || unknown.length > 0 || (values.net ?? "proxies") !== "proxies") {
  if (unknown.length > 0) console.log(`there is no fault ${unknown.join(", ")}`);
  console.log(`node test/chaos/main.ts [--seed N] [--seconds 600, at least 60] [--faults a,b] [--net proxies]
     or --judge FOLDER: judges what a run has kept once more
faults: ${FAULTS.map(({ name }) => name).join(", ")}, or none`);
  process.exitCode = values.help ? 0 : 2;
} else if (values.judge !== undefined) {
  const { findings, counts } = judge(JSON.parse(readFileSync(join(values.judge, "gathered.json"), "utf8")) as Gathered);
  for (const line of [JSON.stringify(counts), ...findings, `${findings.length} findings`]) console.log(line);
  process.exitCode = findings.length === 0 ? 0 : 1;
} else {
  const result = await runChaos({
    seed,
    seconds,
    faults,
    net: values.net === undefined ? undefined : "proxies",
    say: (line) => console.log(line),
  });
  for (const line of summaryLines(result)) console.log(line);
  process.exitCode = result.failed.length === 0 ? 0 : 1;
}
