import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { silentLog } from "fleetcron-shared/base/log";
import { systemRandom } from "fleetcron-shared/base/random";
import type { SecretSource } from "fleetcron-shared/model/job-spec";
import { createKeyPair, type KeyPair, sealBox } from "fleetcron-shared/model/secret-box";
import { createMemoryStore } from "fleetcron-shared/store/memory-kv";
import { encode } from "fleetcron-shared/wire/codec";
import { createKeys } from "fleetcron-shared/wire/keys";
import { tempFolder, until } from "../../../../test/support/processes.ts";
import { openNodeKey } from "./node-key.ts";
import { openSecrets } from "./secrets.ts";

const keys = createKeys("/s");
const job = (secrets: Record<string, SecretSource>) => ({ group: "db", secrets });

function open(key: KeyPair, env: Record<string, string> = {}) {
  const store = createMemoryStore({ clock: systemClock });
  const kv = store.connect();
  const deps = { kv, clock: systemClock, random: systemRandom, log: silentLog, keys, env };
  const put = (secret: string, value: string, publicKey = key.publicKey, node = "web-1") => {
    const [group = "", name = ""] = secret.split("/");
    const box = sealBox(value, publicKey, { secret, node, version: "v" });
    return kv.txn({ then: [{ op: "put", key: keys.box("web-1", group, name), value: encode(box) }] });
  };
  return { put, secrets: openSecrets(deps, { nodeId: "web-1", key }) };
}

test("values come from files, the agent's variables and boxes; a job without secrets costs nothing", async (t) => {
  using temp = tempFolder();
  writeFileSync(temp.file("token"), "from a file\n");
  const { secrets, put } = open(createKeyPair(), { TOKEN: "from the agent" });
  await put("db/own", "from a box");
  await put("shared/all", "from a shared box");
  const wanted = job({ A: { file: temp.file("token") }, B: { env: "TOKEN" }, C: { secret: "own" }, D: { secret: "shared/all" } });
  await until("the boxes are there", () => secrets.refusal(wanted) === undefined);
  const resolved = secrets.resolve(wanted, temp.file("e-1"));
  if ("refusal" in resolved) return t.fail(resolved.refusal);
  t.deepEqual(resolved.env, { A: "from a file", B: "from the agent", C: "from a box", D: "from a shared box" });
  t.is(resolved.masker.text("x from a box y"), "x *** y");
  const before = readdirSync(temp.path).length;
  t.deepEqual(secrets.resolve(job({}), temp.file("e-2")), { env: {}, masker: secrets.maskerOf(temp.file("e-2")) });
  t.is(readdirSync(temp.path).length, before);
  await secrets.close();
});

test("what is missing is named, each with what to do, and no value is in the words", async (t) => {
  using temp = tempFolder();
  const key = createKeyPair();
  const { secrets, put } = open(key, { FLEETCRON_AGENT_ETCD_PASSWORD: "hunter2", EMPTY: "" });
  writeFileSync(temp.file("nul"), "hun\0ter2");
  writeFileSync(temp.file("latin"), Buffer.from([0x68, 0xe4]));
  const words = (source: SecretSource) => secrets.refusal(job({ PW: source })) ?? "";
  t.regex(words({ file: temp.file("none") }), /^secrets\.PW: .*none cannot be read on this host: there is no such file$/);
  t.regex(words({ file: temp.path }), /is not a file/);
  t.regex(words({ file: temp.file("nul") }), /NUL character/);
  t.regex(words({ file: temp.file("latin") }), /not text in UTF-8/);
  t.regex(words({ env: "NONE" }), /has no variable NONE; set it where the agent is started/);
  t.regex(words({ env: "EMPTY" }), /is empty/);
  t.regex(words({ env: "FLEETCRON_AGENT_ETCD_PASSWORD" }), /own settings are not given/);
  t.regex(words({ secret: "own" }), /this node has not been given db\/own; `fleetcron secret set db\/own`/);
  t.regex(words({ secret: "web/own" }), /web\/own is for jobs of the group web/);
  await put("db/own", "hunter2", createKeyPair().publicKey);
  await until("the box is there", () => words({ secret: "own" }).includes("another key"));
  await put("db/own", "hunter2", key.publicKey, "web-2");
  await put("db/mark", "x");
  await until("both are there", () => words({ secret: "mark" }) === "");
  t.regex(words({ secret: "own" }), /another key/, "sealed for another node");
  const two = job({ A: { env: "NONE" }, B: { secret: "none" } });
  t.regex(secrets.refusal(two) ?? "", /secrets\.A.*; secrets\.B/);
  t.deepEqual(secrets.resolve(two, temp.file("e-1")), { refusal: secrets.refusal(two) ?? "" });
  await secrets.close();
});

test("an attempt's values are masked after a restart and after they were changed, and lie nowhere in clear", async (t) => {
  using temp = tempFolder();
  const key = openNodeKey(temp.path);
  const attempt = temp.file("e-1");
  const first = open(key, { TOKEN: "first-value" });
  first.secrets.resolve(job({ T: { env: "TOKEN" } }), attempt);
  await first.secrets.close();
  const next = open(openNodeKey(temp.path), { TOKEN: "second-value" });
  t.is(next.secrets.maskerOf(attempt).text("first-value"), "***");
  t.is(next.secrets.maskerOf(temp.file("e-2")).text("first-value"), "first-value");
  for (const name of readdirSync(temp.path)) t.false(readFileSync(temp.file(name), "utf8").includes("first-value"), name);
  for (const name of ["e-1.secrets", "secrets.key"]) t.is(statSync(temp.file(name)).mode & 0o777, 0o600, name);
  writeFileSync(temp.file("e-3.secrets"), "cut");
  t.is(next.secrets.maskerOf(temp.file("e-3")).text("anything"), "***", "what cannot be told is withheld");
  rmSync(temp.file("secrets.key"));
  const stranger = open(openNodeKey(temp.path));
  t.is(stranger.secrets.maskerOf(attempt).text("anything"), "***");
  await next.secrets.close();
  await stranger.secrets.close();
});

test("the node's key stays, and is refused when others may read it", (t) => {
  using temp = tempFolder();
  const { publicKey } = openNodeKey(temp.path);
  t.is(openNodeKey(temp.path).publicKey, publicKey);
  chmodSync(temp.file("secrets.key"), 0o640);
  t.throws(() => openNodeKey(temp.path), { message: /secrets\.key cannot be used: others than its owner may read/ });
  writeFileSync(temp.file("secrets.key"), "rubbish");
  chmodSync(temp.file("secrets.key"), 0o600);
  t.throws(() => openNodeKey(temp.path), { code: "config/data-dir" });
});
