import { startBenchFleet } from "./bench-fleet.ts";
import { measureManyRuns } from "./pipelines.ts";
await using fleet = await startBenchFleet();
console.log(await measureManyRuns(fleet, Number(process.argv[2])));
