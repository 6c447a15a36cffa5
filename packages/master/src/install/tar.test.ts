import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { readNodeBinary } from "./node-binary.ts";
import { tarEnd, tarEntry } from "./tar.ts";

test("tar reads the archives: long names, odd sizes, modes and links", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fleetcron-tar-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const long = `${"folder/".repeat(40)}${"ü".repeat(60)}.js`;
  const blocks = [
    ...tarEntry({ path: long, mode: 0o644, content: Buffer.from("x".repeat(513)) }),
    ...tarEntry({ path: "bin/run", mode: 0o755, content: new Uint8Array(512) }),
    ...tarEntry({ path: "empty", mode: 0o600, content: new Uint8Array() }),
    ...tarEntry({ path: "link", mode: 0o777, linkTo: "bin/run" }),
    tarEnd(),
  ];
  execFileSync("tar", ["-xf", "-", "-C", folder], { input: Buffer.concat(blocks) });
  t.is(readFileSync(join(folder, long), "utf8"), "x".repeat(513));
  t.is(statSync(join(folder, "bin/run")).mode & 0o777, 0o755);
  t.is(statSync(join(folder, "bin/run")).size, 512);
  t.is(statSync(join(folder, "empty")).size, 0);
  t.is(readlinkSync(join(folder, "link")), "bin/run");
});

test("a Node.js tells its processor and its loader; anything else is refused", async (t) => {
  const { arch, interpreter } = await readNodeBinary(process.execPath);
  t.is(arch, process.arch);
  t.regex(interpreter ?? "", /^\/lib.*ld-/);
  await t.throwsAsync(readNodeBinary(import.meta.filename), { message: /no 64-bit program of Linux/ });
  await t.throwsAsync(readNodeBinary("/nowhere"), { message: /cannot be read/ });
});
