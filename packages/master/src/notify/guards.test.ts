import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { isAllowEntry } from "fleetcron-shared/net/address-policy";
import { openSecrets } from "./secrets.ts";
import { patience } from "./send.ts";
import { createAddressPolicy } from "./target-addresses.ts";

const NAMES: Readonly<Record<string, readonly string[]>> = {
  "public.example": ["93.184.216.34"],
  "inside.example": ["10.1.2.3"],
  "both.example": ["127.0.0.1", "93.184.216.34"],
};
const lookUp = async (name: string) => NAMES[name] ?? [];
const policy = (...allow: string[]) => createAddressPolicy({ lookUp }, allow);

const PRIVATE = [
  ...[
    "127.0.0.1",
    "10.0.0.1",
    "172.16.5.4",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "255.255.255.255",
  ],
  ...[
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[64:ff9b::a00:1]",
    "[ff02::1]",
    "[2002:7f00:1::]",
  ],
  ...["[::7f00:1]", "198.18.0.1", "224.0.0.1"],
];
for (const address of PRIVATE) {
  test(`${address} is refused, unless private is allowed`, async (t) => {
    const error = await t.throwsAsync(policy().resolve(address), { message: /is not a public address/ });
    t.is((error as { code?: string }).code, "channel/refused");
    t.is((await policy("private").resolve(address)).length, 1);
  });
}

test("public addresses pass, names are judged by what they are", async (t) => {
  for (const address of ["8.8.8.8", "172.32.0.1", "[2606:4700:4700::1111]", "100.128.0.1"])
    t.is((await policy().resolve(address)).length, 1);
  t.deepEqual(await policy().resolve("public.example"), ["93.184.216.34"]);
  t.deepEqual(await policy().resolve("both.example"), ["93.184.216.34"], "never the private one");
  await t.throwsAsync(policy().resolve("inside.example"), { message: /inside\.example is 10\.1\.2\.3, which is not a public address/ });
  await t.throwsAsync(policy("private").resolve("nowhere.example"), { message: /nowhere\.example is not found/ });
  t.deepEqual(await policy("10.1.0.0/16").resolve("inside.example"), ["10.1.2.3"]);
  t.deepEqual(await policy("10.1.2.3").resolve("inside.example"), ["10.1.2.3"]);
  t.deepEqual(await policy("inside.example").resolve("Inside.Example"), ["10.1.2.3"]);
  await t.throwsAsync(policy("10.2.0.0/16", "inside.example").resolve("10.1.2.3"));
});

test("what may stand in notifyAllow", (t) => {
  for (const entry of ["private", "10.0.0.0/8", "::1", "fd00::/8", "127.0.0.1", "mail.internal", "localhost"])
    t.true(isAllowEntry(entry), entry);
  for (const entry of ["", "10.0.0.0/33", "10.0.0", "http://x", "a b", "10.0.0.0/", "x/8"]) t.false(isAllowEntry(entry), entry);
});

test("secrets come from the folder, from variables by their prefix, and from nowhere else", async (t) => {
  const home = mkdtempSync(join(tmpdir(), "fleetcron-secrets-"));
  const secretsDir = join(home, "secrets");
  mkdirSync(secretsDir);
  writeFileSync(join(secretsDir, "slack"), "https://hooks.slack.com/services/T000/B000/v3rysecret\n");
  writeFileSync(join(secretsDir, "empty"), "\n");
  writeFileSync(join(home, "shadow"), "root");
  symlinkSync(join(home, "shadow"), join(secretsDir, "link"));
  const env = { FLEETCRON_SECRET_KEY: "k3y", FLEETCRON_MASTER_ETCD_PASSWORD: "p" };
  const secrets = openSecrets({ env, secretsDir });
  t.is(await secrets.read("url", { file: "slack" }), "https://hooks.slack.com/services/T000/B000/v3rysecret");
  t.is(await secrets.read("url", { file: join(secretsDir, "slack") }), "https://hooks.slack.com/services/T000/B000/v3rysecret");
  t.is(await secrets.read("secret", { env: "FLEETCRON_SECRET_KEY" }), "k3y");
  const refused = async (value: { file: string } | { env: string }, message: RegExp) => {
    const error = await t.throwsAsync(secrets.read("url", value), { message });
    t.is((error as { code?: string }).code, "channel/secret");
  };
  await refused({ file: "../shadow" }, /not below the folder for secrets/);
  await refused({ file: "/etc/passwd" }, /not below the folder for secrets/);
  await refused({ file: "link" }, /not below the folder for secrets/);
  await refused({ file: "none" }, /there is no such file/);
  await refused({ file: "empty" }, /is empty/);
  await refused({ env: "FLEETCRON_MASTER_ETCD_PASSWORD" }, /environment does not have/);
  await refused({ env: "FLEETCRON_SECRET_NONE" }, /environment does not have/);
  t.is(
    secrets.scrub("POST /services/T000/B000/v3rysecret said v3rysecret to services, k3y"),
    "POST ******** said ******** to services, ********",
  );
  rmSync(home, { recursive: true });
});

test("Retry-After is seconds or a date", (t) => {
  const now = Date.parse("2027-01-31T08:00:00Z");
  t.is(patience({ retryAfter: "120" }, now), 120_000);
  t.is(patience({ retryAfter: "Sun, 31 Jan 2027 08:01:00 GMT" }, now), 60_000);
  t.is(patience({ retryAfter: "Sun, 31 Jan 2027 07:01:00 GMT" }, now), 0);
  t.is(patience({ retryAfter: "soon" }, now), undefined);
  t.is(patience({ retryAfter: undefined }, now), undefined);
});
