import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "ava";
import { isCode } from "fleetcron-shared/base/errors";
import { checkServer, isLoopback, resolveSettings } from "./settings.ts";

async function world(files: Record<string, string>, env: Record<string, string> = {}) {
  const home = await mkdtemp(join(tmpdir(), "fleetcron-settings-"));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, name)), { recursive: true });
    await writeFile(join(home, name), text);
  }
  return { home, cwd: home, env };
}
const CONFIG = ".config/fleetcron/config.yaml";

test("option, then environment, then config file, then the local master with its own token", async (t) => {
  const files = { [CONFIG]: "server: https://fleet.example\ntoken: of-config\n", ".fleetcron/admin-token": "of-data-dir\n" };
  const all = await world(files, { FLEETCRON_SERVER: "http://env.example:1/", FLEETCRON_TOKEN: "of-env" });
  t.deepEqual(await resolveSettings(all, { server: "http://opt.example", token: "of-option" }), {
    server: "http://opt.example",
    token: "of-option",
  });
  t.deepEqual(await resolveSettings(all, {}), { server: "http://env.example:1", token: "of-env" });
  t.deepEqual(await resolveSettings(await world(files), {}), { server: "https://fleet.example", token: "of-config" });
  t.deepEqual(await resolveSettings(await world({ ".fleetcron/admin-token": "of-data-dir\n" }), {}), {
    server: "http://127.0.0.1:7800",
    token: "of-data-dir",
  });
  t.deepEqual(await resolveSettings(await world({ "d/admin-token": "of-d" }, { FLEETCRON_DATA_DIR: "d" }), {}), {
    server: "http://127.0.0.1:7800",
    token: "of-d",
  });
});

test("no token travels to a server that it was not meant for", async (t) => {
  const files = { [CONFIG]: "server: https://fleet.example\ntoken: of-config\n", ".fleetcron/admin-token": "of-data-dir\n" };
  t.is((await resolveSettings(await world(files), { server: "https://other.example" })).token, undefined);
  t.is((await resolveSettings(await world(files), { server: "http://localhost:9" })).token, "of-data-dir");
});

test("a wrong config file is told with what is wrong", async (t) => {
  const unknown = await t.throwsAsync(resolveSettings(await world({ [CONFIG]: "servr: x\n" }), {}));
  t.true(isCode(unknown, "config/invalid") && unknown.issues[0]?.hint === 'did you mean "server"?');
  for (const text of ["- a\n", "token: 7\n", "a: [\n"])
    t.true(isCode(await t.throwsAsync(resolveSettings(await world({ [CONFIG]: text }), {})), "config/invalid"), text);
});

test("addresses", (t) => {
  t.is(checkServer("https://a.example:8443/fleet/"), "https://a.example:8443/fleet");
  for (const bad of ["localhost:7800", "ftp://a", "a", "http://u:p@a", ""])
    t.throws(() => checkServer(bad), { message: /is not the address/ }, bad);
  t.true(isLoopback("http://127.0.0.1:1") && isLoopback("http://[::1]:1") && isLoopback("http://localhost"));
  t.false(isLoopback("http://127.example") || isLoopback("http://10.0.0.1"));
});
