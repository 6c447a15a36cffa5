import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { hostKeyOf } from "./host-key.ts";
import { judge, linesFor, preferredTypes } from "./known-hosts.ts";
import { pinHostKey } from "./known-hosts-file.ts";

function key(type: string, content: string) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return hostKeyOf(Buffer.concat([length, Buffer.from(type), Buffer.from(content)]));
}
const ed = key("ssh-ed25519", "one");
const other = key("ssh-ed25519", "two");
const rsa = key("ssh-rsa", "three");
const row = (patterns: string, { type, base64 } = ed) => `${patterns} ${type} ${base64} a comment\n`;
const verdict = (text: string, host: string, port = 22, shown = ed) => judge(linesFor([{ path: "f", text }], host, port), shown).type;

test("patterns, negation, ports, case", (t) => {
  t.is(verdict(row("a,b,c"), "b"), "known");
  t.is(verdict(row("Alpha"), "aLPHA"), "known");
  t.is(verdict(row("*.example.com,!bad.example.com"), "good.example.com"), "known");
  t.is(verdict(row("*.example.com,!bad.example.com"), "bad.example.com"), "unknown");
  t.is(verdict(row("h?st"), "host"), "known");
  t.is(verdict(row("h?st"), "hst"), "unknown");
  t.is(verdict(row("a.b"), "axb"), "unknown");
  t.is(verdict(row("host"), "host", 2222), "unknown");
  t.is(verdict(row("[host]:2222"), "host", 2222), "known");
  t.is(verdict(row("[host]:2222"), "host"), "unknown");
  t.is(verdict(row("[::1]:2222"), "::1", 2222), "known");
  t.is(verdict(`# ${row("host")}\n\n  \nhost ssh-ed25519\nhost ssh-rsa ${ed.base64}\n@odd ${row("host")}`, "host"), "unknown");
});

test("hashed names, with and without a port", (t) => {
  const hashed = (name: string) =>
    `|1|${Buffer.from("salt").toString("base64")}|${createHmac("sha1", "salt").update(name).digest("base64")}`;
  t.is(verdict(row(hashed("host")), "HOST"), "known");
  t.is(verdict(row(hashed("host")), "hos"), "unknown");
  t.is(verdict(row(hashed("[host]:22022")), "host", 22_022), "known");
  t.is(verdict(row("|1|x"), "host"), "unknown");
});

test("changed, revoked, authorities, and keys of another type", (t) => {
  const changed = judge(linesFor([{ path: "f", text: `\n${row("host", other)}` }], "host", 22), ed);
  t.deepEqual(changed.type === "changed" && [changed.known.fingerprint, changed.file, changed.line], [other.fingerprint, "f", 2]);
  t.is(verdict(row("host", other) + row("host"), "host"), "known");
  t.is(verdict(row("host", rsa), "host"), "changed");
  t.is(verdict(row("host") + row("@revoked *"), "host"), "revoked");
  t.is(verdict(row("host") + row("@revoked *", other), "host"), "known");
  t.is(verdict(row("@cert-authority *"), "host"), "certAuthority");
  t.is(verdict(row("@cert-authority *", other) + row("host"), "host"), "known");
  t.deepEqual(preferredTypes(linesFor([{ path: "f", text: row("host", rsa) }], "host", 22)).slice(0, 2), ["ssh-rsa", "ssh-ed25519"]);
});

test("a key is pinned once, privately, and never instead of another", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fleetcron-known-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "new", "known_hosts");
  t.is(pinHostKey(path, "Host", 2222, ed).type, "known");
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(readFileSync(path, "utf8"), `[host]:2222 ssh-ed25519 ${ed.base64}\n`);
  writeFileSync(path, readFileSync(path, "utf8").trimEnd());
  t.is(pinHostKey(path, "host", 2222, other).type, "changed");
  t.is(pinHostKey(path, "host", 2222, rsa).type, "known");
  t.is(readFileSync(path, "utf8").split("\n").length, 4);
});
