/** Hostile values, several documents, logs of several containers and pods, and where a cluster is found: through the runner's port. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import test from "ava";
import { TOKEN } from "../support/kube-api/server.ts";
import { jobYaml, kubeconfigText, startBench } from "../support/kube-api/session.ts";
import { until } from "../support/processes.ts";

const HOSTILE = [
  '"\n- evil: true',
  "'",
  "{{ .Values }}",
  "${OTHER}",
  "$${OTHER}",
  "$(OTHER)",
  "$$(OTHER)",
  "$",
  "a: b # c",
  "- x",
  "*all",
  "&all",
  "!tag",
  "|",
  "0600",
  "yes",
  "null",
  "~",
  "\t",
  "ünï ☃",
  "--flag",
  "; rm -rf /",
  "`id`",
  "$(id)",
];

test("values reach a container as data, whatever is in them", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => void (await pod.run("main"));
  let attempt = 1;
  for (const value of HOSTILE) {
    const manifest = jobYaml(
      `command: [/bin/sh, -c, 'printf "%s|%s|%s" "$1" "$V" "$W"', sh, "\${V}"]\n          env: [{ name: W, value: "<\${V}>" }]`,
    );
    const session = bench.start({ manifest }, { env: { V: value, OTHER: "expanded" }, attempt: attempt++ });
    t.deepEqual((await session.done).outcome, { type: "exit", code: 0 }, JSON.stringify(value));
    t.is(session.log(), `${value}|${value}|<${value}>`, JSON.stringify(value));
  }
});

test("a text that is only a variable stays a text, and one with $${ keeps it", async (t) => {
  await using bench = await startBench();
  const manifest = jobYaml('command: [/bin/sh, -c, "printf %s $${HOME:-none}${N}"]');
  bench.api.podScript = async (pod) => void (await pod.run("main"));
  const session = bench.start({ manifest }, { env: { N: "8" } });
  t.deepEqual((await session.done).outcome, { type: "exit", code: 0 });
  t.regex(session.log(), /8$/);
  const count = jobYaml(undefined, { spec: 'parallelism: "${N}"' });
  t.regex(
    JSON.stringify((await bench.start({ manifest: count }, { env: { N: "8" }, attempt: 2 }).done).outcome),
    /kubernetes\/invalid.*cannot unmarshal string/,
  );
});

test("what cannot be filled in is refused, with its line and what to do", async (t) => {
  await using bench = await startBench();
  const refused = async (manifest: string, more = {}) => {
    const { outcome } = await bench.start({ manifest }, more).done;
    t.like(outcome, { type: "failed", code: "runner/spec" });
    return outcome.type === "failed" ? outcome.error : "";
  };
  t.regex(await refused(jobYaml('command: ["${NOPE}"]')), /line 12: \$\{NOPE\} is no variable of this execution/);
  const secret = await refused(jobYaml('command: ["${TOKEN}"]'), { secrets: { TOKEN: "s3cret" } });
  t.regex(secret, /is a secret.*\$\(TOKEN\)/);
  t.notRegex(secret, /s3cret/);
  t.regex(await refused(jobYaml('"${A}": x'), { env: { A: "b" } }), /only values are replaced/);
  t.regex(await refused(`${jobYaml()}---\n${jobYaml()}`), /2 documents; exactly one object/);
  t.regex(await refused(jobYaml('command: ["${FOO:-x}"]')), /no variable such as/);
  t.regex(
    await refused(jobYaml().replace("metadata: {}", "metadata: { namespace: '${A}' }"), { env: { A: "../kube-system" } }),
    /cannot be the name of a namespace/,
  );
  t.is(bench.api.requests.filter(({ verb }) => verb === "create").length, 0);
});

test("lines of several containers and pods say where they are from", async (t) => {
  await using bench = await startBench();
  const pod = "restartPolicy: Never\n      initContainers: [{ name: clone, image: git }]";
  bench.api.podScript = async (handle) => {
    for (const name of ["clone", "main"]) {
      await handle.start(name);
      handle.log(name, `from ${name}\n`);
      handle.exit(name, 0);
    }
  };
  const one = bench.start({ manifest: jobYaml(undefined, { pod }) });
  t.is((await one.done).outcome.type, "exit");
  t.deepEqual(one.log().split("\n").sort(), ["", "clone | from clone", "main | from main"]);
  const two = bench.start({ manifest: jobYaml(undefined, { spec: "parallelism: 2" }) }, { attempt: 2 });
  bench.api.podScript = async (handle) => {
    await handle.start("main");
    handle.log("main", "hello");
    handle.exit("main", 0);
  };
  await two.done;
  const names = bench.api.pods.slice(-2).map(({ name }) => `${name}/main | hello`);
  t.deepEqual(two.log().trim().split("\n").sort(), names.sort());
});

test("a container that begins anew has the logs of both runs", async (t) => {
  await using bench = await startBench();
  bench.api.podScript = async (pod) => {
    await pod.start("main");
    pod.log("main", "first\n");
    await until("it is followed", () => bench.api.requests.some(({ verb }) => verb === "log"));
    pod.restart("main", 1);
    pod.log("main", "second\n");
    pod.exit("main", 0);
  };
  const session = bench.start({ manifest: jobYaml(undefined, { spec: "backoffLimit: 3", pod: "restartPolicy: OnFailure" }) });
  t.deepEqual((await session.done).outcome, { type: "exit", code: 0 });
  t.deepEqual(session.log().trim().split("\n").sort(), ["first", "second"]);
});

test("a cluster that cannot be made out is a matter of the configuration", async (t) => {
  await using bench = await startBench();
  const config = async (spec: object) => {
    const { outcome } = await bench.start({ manifest: jobYaml(), ...spec }).done;
    t.like(outcome, { type: "failed", code: "kubernetes/config" });
    return outcome.type === "failed" ? outcome.error : "";
  };
  t.regex(await config({ context: "prod" }), /there is no context "prod" in .*its contexts: test, lost/);
  t.regex(await config({ context: "lost" }), /names a cluster that is not in it/);
  t.regex(await config({ kubeconfig: `${bench.folder}/nowhere` }), /nowhere \(from run.kubernetes.kubeconfig\) cannot be read: ENOENT/);
  writeFileSync(`${bench.folder}/broken`, "users: [{ name: x, user: { token: s3cret }\n");
  t.notRegex(await config({ kubeconfig: `${bench.folder}/broken` }), /s3cret/);
  await using none = await startBench({ environment: {} });
  t.regex(JSON.stringify((await none.start({ manifest: jobYaml() }).done).outcome), /kubernetes\/config.*no way to a cluster/);
});

test("a program for the credentials is run for the agent's own kubeconfig only", async (t) => {
  await using bench = await startBench();
  const program = `${bench.folder}/login`;
  const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token: TOKEN } };
  writeFileSync(program, `#!/bin/sh\ntouch ${bench.folder}/was-run\necho '${JSON.stringify(credential)}'\n`);
  chmodSync(program, 0o755);
  const text = kubeconfigText(
    bench.api.port,
    `exec: { apiVersion: client.authentication.k8s.io/v1, command: ${program}, interactiveMode: Never }`,
  );
  writeFileSync(`${bench.folder}/with-program`, text);
  const named = (await bench.start({ manifest: jobYaml(), kubeconfig: `${bench.folder}/with-program` }).done).outcome;
  t.regex(JSON.stringify(named), /kubernetes\/config.*credentials from a program.*only in the agent's own kubeconfig/);
  writeFileSync(bench.kubeconfig, text);
  t.deepEqual((await bench.start({ manifest: jobYaml() }).done).outcome, { type: "exit", code: 0 });
});

test("~/.kube/config is the second choice, and a pod's service account the last", async (t) => {
  await using bench = await startBench();
  const home = `${bench.folder}/home`;
  mkdirSync(`${home}/.kube`, { recursive: true });
  writeFileSync(`${home}/.kube/config`, kubeconfigText(bench.api.port));
  await using second = await startBench({ environment: { HOME: home } });
  t.deepEqual((await second.start({ manifest: jobYaml() }).done).outcome, { type: "exit", code: 0 });
  t.is(bench.api.pods.length, 1, "the cluster of the kubeconfig was asked");
  await using third = await startBench({
    environment: { HOME: "/nowhere", KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: "1" },
  });
  t.regex(JSON.stringify((await third.start({ manifest: jobYaml() }).done).outcome), /kubernetes\/config.*without a service account/);
});
