/** Two short chaos runs of fixed seeds (README.md: how to run longer ones, and what is checked). */
import test from "ava";
import { whyNoNamespaces } from "./net/namespaces.ts";
import { runChaos } from "./run-chaos.ts";
import { summaryLines } from "./summary.ts";

const SECONDS = 90;

for (const seed of [1, 2]) {
  test.serial(`chaos, seed ${seed}: nothing missed, doubled, overlapping, lost or unexplained, and all converges`, async (t) => {
    t.timeout(300_000);
    const why = whyNoNamespaces();
    if (why !== undefined) t.log(`over proxies instead of network namespaces: ${why}`);
    const result = await runChaos({ seed, seconds: SECONDS, say: (line) => t.log(line) });
    for (const line of summaryLines(result)) t.log(line);
    t.deepEqual(result.failed, []);
  });
}
