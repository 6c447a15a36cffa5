/** The connection as real clusters have it: TLS with the cluster's own authority, HTTP/2, a service account. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createSecureServer, type ServerHttp2Session } from "node:http2";
import { createServer } from "node:https";
import test from "ava";
import { makeCertificates } from "../support/http-calls.ts";
import { type Listen, TOKEN } from "../support/kube-api/server.ts";
import { jobYaml, kubeconfigText, startBench } from "../support/kube-api/session.ts";
import { tempFolder, until } from "../support/processes.ts";

/** As the API server: HTTP/2 for those who can. */
function secure(folder: string): Listen {
  return (handler) => {
    const server = createSecureServer({ ...certificate(folder), allowHTTP1: true }, handler as never);
    const sessions = new Set<ServerHttp2Session>();
    server.on("session", (session) => void sessions.add(session));
    const closable = { closeAllConnections: () => sessions.forEach((session) => void session.destroy()) };
    return Object.assign(server, closable) as unknown as ReturnType<Listen>;
  };
}

function certificate(folder: string) {
  return { key: readFileSync(`${folder}/api.key`), cert: readFileSync(`${folder}/api.crt`) };
}

for (const protocol of ["h2", "http/1.1"]) {
  test(`a Job over TLS and ${protocol}, with its streams cut`, async (t) => {
    using folder = tempFolder();
    makeCertificates(folder.path, { api: { san: "IP:127.0.0.1" } });
    let spoken = "";
    const listen: Listen = (handler) => {
      const seen: typeof handler = (request, response) => {
        spoken = request.httpVersion;
        handler(request, response);
      };
      return protocol === "h2" ? secure(folder.path)(seen) : createServer(certificate(folder.path), seen);
    };
    await using bench = await startBench({ listen });
    writeFileSync(bench.kubeconfig, tlsConfig(bench.api.port, `${folder.path}/ca.crt`));
    bench.api.podScript = (pod) => pod.start("main");
    const session = bench.start({ manifest: jobYaml() }, { secrets: { A: "b" } });
    const pod = await until("the pod", () => bench.api.pods[0]);
    pod.log("main", "one\n");
    await until("the log is followed", () => session.log() === "one\n");
    bench.api.cutWatches();
    bench.api.cutLogs();
    pod.log("main", "two\n");
    pod.exit("main", 5);
    t.deepEqual((await session.done).outcome, { type: "exit", code: 5 });
    t.is(session.log(), "one\ntwo\n");
    t.is(spoken, protocol === "h2" ? "2.0" : "1.1");
  });
}

test("a certificate of another authority is refused, and says so", async (t) => {
  using folder = tempFolder();
  makeCertificates(folder.path, { api: { san: "IP:127.0.0.1" } });
  using other = tempFolder();
  makeCertificates(other.path, { api: { san: "IP:127.0.0.1" } });
  await using bench = await startBench({ listen: secure(folder.path) });
  writeFileSync(bench.kubeconfig, tlsConfig(bench.api.port, `${other.path}/ca.crt`));
  const { outcome } = await bench.start({ manifest: jobYaml() }).done;
  t.like(outcome, { type: "failed", code: "kubernetes/config" });
  t.regex(JSON.stringify(outcome), /no trusted TLS connection to https:/);
  t.deepEqual(bench.api.requests, []);
});

test("in a pod of the cluster its service account is used, and its namespace", async (t) => {
  using folder = tempFolder();
  makeCertificates(folder.path, { api: { san: "IP:127.0.0.1" } });
  const account = `${folder.path}/account`;
  mkdirSync(account);
  copyFileSync(`${folder.path}/ca.crt`, `${account}/ca.crt`);
  writeFileSync(`${account}/token`, TOKEN);
  writeFileSync(`${account}/namespace`, "inside\n");
  await using bench = await startBench({
    listen: secure(folder.path),
    serviceAccount: account,
    environment: (port) => ({ KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(port) }),
  });
  t.deepEqual((await bench.start({ manifest: jobYaml() }).done).outcome, { type: "exit", code: 0 });
  t.is(bench.api.store.list("jobs", "inside").length, 1);
});

function tlsConfig(port: number, ca: string): string {
  return kubeconfigText(port).replace(
    /server: .* insecure-skip-tls-verify: true/,
    `server: "https://127.0.0.1:${port}", certificate-authority: ${ca}`,
  );
}
