/** TLS of the REST API: it serves, the command line trusts what it should and says what to do else, a renewed certificate is taken; and plain HTTP only at home. */
import { copyFileSync } from "node:fs";
import { connect } from "node:tls";
import test from "ava";
import { makeCertificates } from "../support/certificates.ts";
import { createCli } from "../support/cli-process.ts";
import { startEtcd } from "../support/etcd.ts";
import { eventually } from "../support/fleet.ts";
import { failToServe, startMasterProcess } from "../support/master.ts";
import { tempFolder } from "../support/processes.ts";

/** The serial number of the certificate that is shown at `url`. */
function serialOf(url: string, ca: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), ca, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

test("https: the command line with --ca, without it, with another authority, and by http; a renewed certificate after SIGHUP", async (t) => {
  await using etcd = await startEtcd();
  using own = makeCertificates();
  using other = makeCertificates();
  using folder = tempFolder();
  const { cert, key } = own.issue("master");
  await using master = await startMasterProcess({ ...etcd, args: ["--tls-cert", cert, "--tls-key", key] });
  t.regex(master.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  const cli = createCli(folder.path, { FLEETCRON_SERVER: master.url, FLEETCRON_TOKEN: master.token });
  const trusted = await cli(["--ca", own.ca, "job", "ls", "-o", "json"]);
  t.is(trusted.code, 0, trusted.err);
  t.is((await cli("job ls -o json", { env: { FLEETCRON_CA: own.ca } })).code, 0);
  for (const args of [
    ["job", "ls"],
    ["--ca", other.ca, "job", "ls"],
  ]) {
    const { code, err } = await cli(args);
    t.is(code, 6);
    t.regex(err, /no trusted connection to https:.*\n.*--ca FILE/);
  }
  const missing = await cli(["--ca", "none.crt", "job", "ls"]);
  t.is(missing.code, 2);
  t.regex(missing.err, /--ca: .*none\.crt is no certificate/);
  const plain = await cli(["--server", master.url.replace("https:", "http:"), "job", "ls"]);
  t.is(plain.code, 6);
  const before = await serialOf(master.url, own.ca);
  const renewed = own.issue("master", "renewed");
  copyFileSync(renewed.cert, cert);
  process.kill(master.pid, "SIGHUP");
  await eventually("the half of a pair is refused", async () => master.log().includes("the certificate was not taken"));
  t.is(await serialOf(master.url, own.ca), before);
  copyFileSync(renewed.key, key);
  process.kill(master.pid, "SIGHUP");
  await eventually("the new one is shown", async () => (await serialOf(master.url, own.ca)) !== before);
  const login = await cli(["--ca", own.ca, "token", "login-link", "-o", "name"]);
  t.regex(login.out, /^https:/);
});

test("plain HTTP is refused beyond this host, unless that is asked for; half a pair and a wrong pair too", async (t) => {
  await using etcd = await startEtcd();
  using own = makeCertificates();
  using folder = tempFolder();
  const [one, two] = [own.issue("one"), own.issue("two")];
  const at = ["--etcd", etcd.endpoint, "--data-dir", folder.file("data")];
  const refused = await failToServe([...at, "--listen", "0.0.0.0:0"]);
  t.is(refused.code, 2);
  t.regex(refused.text, /reachable from other hosts, and without TLS/);
  t.regex(refused.text, /tlsCert and tlsKey.*--insecure-plain/);
  const half = await failToServe([...at, "--tls-cert", one.cert]);
  t.regex(half.text, /tlsCert is set without tlsKey/);
  const wrong = await failToServe([...at, "--listen", "127.0.0.1:0", "--tls-cert", one.cert, "--tls-key", two.key]);
  t.is(wrong.code, 2);
  t.regex(wrong.text, /does not belong to the certificate/);
  const none = await failToServe([...at, "--listen", "127.0.0.1:0", "--tls-cert", folder.file("none"), "--tls-key", two.key]);
  t.regex(none.text, /tlsCert: .*none cannot be read/);
  await using open = await startMasterProcess({ ...etcd, args: ["--listen", "0.0.0.0:0", "--insecure-plain"] });
  t.is((await fetch(`${open.url}/healthz`)).status, 200);
});
