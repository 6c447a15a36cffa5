/** The examples of docs/runners on a real fleet: applied by the command line, then run against a real sshd, an HTTP server and a Kubernetes API. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { outcomeWord } from "fleetcron-shared/model/record";
import { createCli, expectRun } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually, type Fleet, startFleet } from "../support/fleet.ts";
import { startKubeApi } from "../support/kube-api/server.ts";
import { kubeconfigText } from "../support/kube-api/session.ts";
import { sshBench } from "../support/sshd.ts";
import { startHttpTarget } from "../support/targets.ts";

const example = (name: string) => fileURLToPath(new URL(`../../examples/${name}.yaml`, import.meta.url));

async function bench(home: string) {
  const etcd = await startEtcd();
  const fleet = await startFleet({ etcd: etcd.endpoints, nodes: [] });
  const policy = fleet.file("policy.yaml");
  writeFileSync(policy, "networks: [127.0.0.0/8]\n", { mode: 0o600 });
  await fleet.addAgent("n1", { env: { HOME: home }, args: ["--policy-file", policy] });
  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  return {
    fleet,
    cli,
    ran: (t: ExecutionContext, args: string, code: number, out: RegExp) => expectRun(t, cli, args, { code, out }),
    /** An example file with other addresses. */
    apply(t: ExecutionContext, name: string, addresses: Readonly<Record<string, string>>) {
      let text = readFileSync(example(name), "utf8");
      for (const [from, to] of Object.entries(addresses)) text = text.replaceAll(from, to);
      const file = join(fleet.folder, `${name}.yaml`);
      writeFileSync(file, text);
      return expectRun(t, cli, `apply -f ${file}`, { code: 0, out: /created/ });
    },
    async [Symbol.asyncDispose]() {
      await fleet[Symbol.asyncDispose]();
      await etcd[Symbol.asyncDispose]();
    },
  };
}

const filed = (fleet: Fleet, job: string, count: number) =>
  eventually(`${job} has ${count} records`, async () => {
    const records = await fleet.records(job);
    return records.length >= count ? records : undefined;
  });

test("the example files are accepted as they are", async (t) => {
  await using etcd = await startEtcd();
  await using fleet = await startFleet({ etcd: etcd.endpoints, nodes: [] });
  const cli = createCli(fleet.folder, { FLEETCRON_SERVER: fleet.url, FLEETCRON_TOKEN: fleet.token });
  for (const name of ["ssh", "http", "kubernetes"]) await expectRun(t, cli, `apply -f ${example(name)}`, { code: 0, out: /created/ });
});

test("ssh: several hosts, one of them away; a record for each, and one for all; a retry leaves out the host that has done it", async (t) => {
  await using ssh = sshBench();
  const [one, two] = [await ssh.start(), await ssh.start()];
  await using at = await bench(ssh.home);
  await at.apply(t, "ssh", {
    "admin@router1": one.target,
    "admin@router2": two.target,
    '"admin@[fd00::3]:2222"': `${ssh.user}@127.0.0.1:1`,
    "delay: 30s": "delay: 100ms",
    "limit: 2": "limit: 1",
  });
  await at.ran(t, "job run remote/disk --wait --param LIMIT=101", 1, /unreachable|could not be reached/);
  const records = await filed(at.fleet, "remote/disk", 6);
  const rows = records
    .map((record) => `${record.partOf === undefined ? "all" : record.host} ${record.attempt} ${outcomeWord(record.outcome)}`)
    .sort();
  t.deepEqual(
    rows,
    [
      ...["all 1 unreachable", "all 2 unreachable", `${one.target} 1 exit:0`, `${two.target} 1 exit:0`],
      ...[1, 2].map((attempt) => `${ssh.user}@127.0.0.1:1 ${attempt} unreachable`),
    ].sort(),
  );
  const whole = records.find(({ partOf, attempt }) => partOf === undefined && attempt === 1);
  t.regex(whole?.output?.tail ?? "", new RegExp(`${one.target} \\| \\d+% used`));
  await at.ran(t, "job show remote/disk", 0, /2 failed|failures?: +2|failed +2/);
  await at.ran(t, "record ls --job remote/disk", 0, new RegExp(`n1 → ${one.target}`));
});

test("http: a param arrives as data, and the server's answer is in the log", async (t) => {
  await using target = await startHttpTarget(() => ({ status: 202, body: "queued\n" }));
  await using at = await bench("/nonexistent");
  writeFileSync(at.fleet.file("token"), "s3cret-token");
  await at.apply(t, "http", {
    "https://search.example": target.url,
    "{ secret: web/search-token }": `{ file: ${at.fleet.file("token")} }`,
  });
  await at.ran(t, "job run web/reindex --wait --param INDEX=a/b?c", 0, /succeeded|exit:0/);
  t.is(target.received[0]?.path, "/v1/indexes/a%2Fb%3Fc/rebuild");
  t.is(target.received[0]?.headers.authorization, "Bearer s3cret-token");
  const [record] = await filed(at.fleet, "web/reindex", 1);
  t.regex(record?.output?.tail ?? "", /202 Accepted[\s\S]*queued\n$/);
  t.notRegex(JSON.stringify(record), /s3cret/);
});

test("kubernetes: the pipeline builds an image and deploys it", async (t) => {
  await using api = await startKubeApi();
  api.podScript = async (pod) => {
    for (const name of ["clone", "kaniko"]) {
      await pod.start(name);
      pod.log(name, `${name} is done\n`);
      pod.exit(name, 0);
    }
  };
  await using ssh = sshBench();
  mkdirSync(join(ssh.home, ".kube"));
  writeFileSync(join(ssh.home, ".kube", "config"), kubeconfigText(api.port), { mode: 0o600 });
  await using at = await bench(ssh.home);
  await at.apply(t, "kubernetes", {});
  await at.ran(t, "job run cd/deploy-apply --wait --param VERSION=1.0.0", 0, /exit:0|succeeded/);
  const { out } = await at.cli("pipeline run cd/release --param GIT_URL=git@git.example.org:shop/web.git --param VERSION=1.4.2 -o name");
  const run = out.trim();
  await eventually("the deploy waits for its auditor", async () => /waitingAudit/.test((await at.cli(`pipeline status ${run}`)).out));
  await at.ran(t, `pipeline approve ${run} web`, 0, /./);
  await eventually("the run is over", async () => /state: +succeeded/.test((await at.cli(`pipeline status ${run}`)).out));
  t.is(api.store.need("deployments", "shop", "web").spec.template.spec.containers[0].image, "registry.example.org/shop/web:1.4.2");
  const [build] = await filed(at.fleet, "cd/image-build", 1);
  t.regex(build?.output?.tail ?? "", /kaniko is done/);
});
