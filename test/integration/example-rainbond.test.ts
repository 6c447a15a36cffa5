/** examples/rainbond.yaml on a real fleet: modes, results, next tasks, dependencies and variables do what docs/from-rainbond-and-mflow.md says. */
import { fileURLToPath } from "node:url";
import test from "ava";
import { createCli, expectRun } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually, startFleet } from "../support/fleet.ts";

test("the tasks of Rainbond as jobs and as a pipeline", async (t) => {
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: ["n1", "n2"] });
  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  const ranOn = async (job: string) => {
    const records = await fleet.records(job);
    t.true(
      records.every(({ success }) => success),
      job,
    );
    return records.map(({ nodeId, output }) => `${nodeId}: ${output?.tail ?? ""}`).sort();
  };
  const onBoth = (job: string, count = 2) => eventually(`${job} has run`, async () => (await fleet.records(job)).length >= count);
  const ran = (args: string, out: RegExp) => expectRun(t, cli, args, { code: 0, out });

  await ran(`apply -f ${fileURLToPath(new URL("../../examples/rainbond.yaml", import.meta.url))}`, /6 created/);
  for (const job of ["install/check", "install/register", "install/base"]) await onBoth(job);
  await onBoth("install/beat", 4);
  t.deepEqual(await ranOn("install/check"), ["n1: looking at n1\n", "n2: looking at n2\n"]);
  t.deepEqual(await ranOn("install/register"), ["n1: n1 is registered\n", "n2: n2 is registered\n"]);
  t.deepEqual(await ranOn("install/base"), ["n1: packages on n1\n", "n2: packages on n2\n"]);
  await ran("global ls", /REPO +repo\.example\.org:5000/);
  await ran("node show n2", /Checked[\s\S]*all is there/);

  await ran("job run install/check --wait", /looking at n1/);
  await onBoth("install/register", 4);
  t.is((await fleet.records("install/check")).length, 4, "manyonce: once more on each node");
  t.is((await fleet.records("install/base")).length, 2, "onlyonce: not again");
  await ran("job run install/base --node n1 --wait", /packages on n1/);

  await ran("pipeline run install/compute --wait", /state: +succeeded/);
  const [where] = await fleet.records("install/compute.etcd");
  const kubelet = (node: string) => `${node}: kubelet of repo.example.org:5000 on ${node}, etcd at ${where?.nodeId}:2379\n`;
  t.deepEqual(await ranOn("install/compute.storage"), ["n1: storage on n1\n", "n2: storage on n2\n"]);
  t.deepEqual(await ranOn("install/kubelet"), [kubelet("n1"), kubelet("n2")]);

  await ran("global rm REPO", /REPO/);
  await ran("pipeline run install/compute --wait", /kubelet +skipped[\s\S]*REPO is not set/);
});
