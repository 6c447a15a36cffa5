/** TLS and authentication of the etcd adapter: it works, and what is wrong is said so that a person can put it right. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { ErrorCode } from "fleetcron-shared/base/error-table";
import { AppError } from "fleetcron-shared/base/errors";
import { openEtcdKv } from "fleetcron-shared/store/etcd-kv";
import type { EtcdOptions } from "fleetcron-shared/store/etcd-options";
import { type EtcdServer, startEtcd } from "../support/etcd.ts";
import { storeDeps, until } from "../support/store-bench.ts";

/** A folder with two authorities, and certificates of the first for a server and a client. */
function makeCertificates(): string {
  const dir = mkdtempSync(join(tmpdir(), "fleetcron-certs-"));
  const run = (...args: string[]) => execFileSync("openssl", args, { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
  for (const name of ["ca", "otherCa"])
    run(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.crt`,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
    );
  for (const [name, san] of [
    ["server", "IP:127.0.0.1"],
    ["client", "DNS:client"],
  ]) {
    run(
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
      "-addext",
      `subjectAltName=${san}`,
    );
    run(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-out",
      `${name}.crt`,
      "-copy_extensions",
      "copy",
    );
  }
  return dir;
}

async function attempt(options: EtcdOptions): Promise<AppError | undefined> {
  try {
    const kv = openEtcdKv(options, storeDeps);
    await kv.get("/a").finally(() => kv.close());
    return undefined;
  } catch (error) {
    return error as AppError;
  }
}

test.serial("TLS with client certificates, and each way to get it wrong", async (t) => {
  const dir = makeCertificates();
  const file = (name: string) => join(dir, name);
  await using etcd = await startEtcd({
    scheme: "https",
    args: ["--cert-file", file("server.crt"), "--key-file", file("server.key"), "--client-cert-auth", "--trusted-ca-file", file("ca.crt")],
  });
  const good = { ca: file("ca.crt"), cert: file("client.crt"), key: file("client.key") };
  const endpoints = etcd.endpoints;
  await until("etcd serves", async () => (await attempt({ endpoints, tls: good })) === undefined);
  const wrong: [string, EtcdOptions, ErrorCode, RegExp][] = [
    [
      "another CA",
      { endpoints, tls: { ...good, ca: file("otherCa.crt") } },
      "etcd/tls",
      /no trusted TLS connection to etcd at https:\/\/127\.0\.0\.1/,
    ],
    ["the system's authorities", { endpoints }, "etcd/tls", /no trusted TLS connection/],
    ["no client certificate", { endpoints, tls: { ca: good.ca } }, "etcd/tls", /client certificate/],
    [
      "a client certificate of another CA",
      { endpoints, tls: { ...good, cert: file("otherCa.crt"), key: file("otherCa.key") } },
      "etcd/tls",
      /client certificate/,
    ],
    [
      "a name that the certificate lacks",
      { endpoints: [etcd.endpoint.replace("127.0.0.1", "localhost")], tls: good },
      "etcd/tls",
      /does not match certificate/,
    ],
    [
      "http instead of https",
      { endpoints: [etcd.endpoint.replace("https", "http")] },
      "etcd/unreachable",
      /no connection to etcd at http:/,
    ],
    ["http with certificates", { endpoints: [etcd.endpoint.replace("https", "http")], tls: good }, "config/invalid", /use https/],
    ["a file that is not there", { endpoints, tls: { ca: file("none.crt") } }, "config/invalid", /cannot be read/],
    ["a certificate without its key", { endpoints, tls: { ca: good.ca, cert: good.cert } }, "config/invalid", /together/],
  ];
  for (const [what, options, code, message] of wrong) {
    const error = await attempt(options);
    t.true(error instanceof AppError, what);
    t.is(error?.code, code, what);
    t.regex(error?.message ?? "", message, what);
  }
  rmSync(dir, { recursive: true });
});

test.serial("https to an etcd without TLS is said to be that", async (t) => {
  await using etcd = await startEtcd();
  const error = await attempt({ endpoints: [etcd.endpoint.replace("http:", "https:")] });
  t.is(error?.code, "etcd/unreachable");
  t.regex(error?.hint ?? "", /give http:/);
});

function etcdctl(etcd: EtcdServer, ...args: string[]): void {
  execFileSync("etcdctl", args, {
    env: { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: etcd.endpoint },
    stdio: ["ignore", "ignore", "pipe"],
  });
}

test.serial("users: no user, wrong password, missing permission; a token survives a restart of etcd", async (t) => {
  await using etcd = await startEtcd();
  const { endpoints } = etcd;
  t.regex((await attempt({ endpoints, user: "u", password: "pw" }))?.message ?? "", /no authentication enabled/);
  etcdctl(etcd, "user", "add", "root:pw");
  etcdctl(etcd, "user", "grant-role", "root", "root");
  etcdctl(etcd, "user", "add", "u:pw");
  etcdctl(etcd, "role", "add", "r");
  etcdctl(etcd, "role", "grant-permission", "r", "readwrite", "--prefix=true", "/mine/");
  etcdctl(etcd, "user", "grant-role", "u", "r");
  etcdctl(etcd, "auth", "enable");
  for (const [options, message] of [
    [{ endpoints }, /asks for a user and password/],
    [{ endpoints, user: "u", password: "wrong" }, /does not accept the user or password/],
    [{ endpoints, user: "u", password: "pw" }, /may not do this.*permission denied/],
  ] as const) {
    const error = await attempt(options);
    t.is(error?.code, "etcd/refused");
    t.regex(error?.message ?? "", message);
  }
  const kv = openEtcdKv({ endpoints, user: "u", password: "pw" }, storeDeps);
  const write = () => kv.txn({ then: [{ op: "put", key: "/mine/a", value: "1" }] });
  const { revision } = await write();
  const denied = await new Promise((resolve) =>
    kv.watch({ start: "/other/", end: "/other0", fromRevision: 1 }, { onEvents() {}, onEnd: (end) => resolve(end.reason) }),
  );
  t.is(denied, "error");
  const seen = await new Promise<number>((resolve) => {
    const stop = kv.watch(
      { start: "/mine/", end: "/mine0", fromRevision: revision },
      {
        onEvents: (events) => {
          resolve(events.length);
          stop();
        },
        onEnd() {},
      },
    );
  });
  t.is(seen, 1, "a denied watch does not harm the next one");
  await etcd.restart();
  await until("writes work again", () =>
    write().then(
      () => true,
      () => false,
    ),
  );
  await kv.close();
});
