import test from "ava";
import { AppError } from "fleetcron-shared/base/errors";
import type { Bundle } from "./bundle.ts";
import { checkHost, findWorkplace, type HostFacts, readFacts } from "./host-facts.ts";
import type { Answer, Remote } from "./remote.ts";

/** A host whose scripts print this. */
function hostSaying(text: string): Remote {
  const lines = text.split("\n");
  const values = Object.fromEntries(
    lines.filter((line) => line.includes("=")).map((line) => [line.split("=")[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );
  const answer: Answer = { text, lines, values };
  return { run: () => Promise.resolve(answer) };
}

const USER = "uid=1000\nhome=/home/ops\nsystem=Linux\nmachine=x86_64";

test("root works in /opt/fleetcron, so does a user with sudo; any other in the home folder", async (t) => {
  const place = async (text: string, prefix?: string) => {
    const { asRoot, places } = await findWorkplace(hostSaying(text), "h", prefix);
    return [asRoot, places.prefix, places.config, places.dataDir];
  };
  t.deepEqual(await place("uid=0\nhome=/root"), [false, "/opt/fleetcron", "/etc/fleetcron/agent.yaml", "/var/lib/fleetcron-agent"]);
  t.deepEqual(await place(`${USER}\nsudo=yes`), [true, "/opt/fleetcron", "/etc/fleetcron/agent.yaml", "/var/lib/fleetcron-agent"]);
  const home = "/home/ops/.local/share/fleetcron";
  t.deepEqual(await place(USER), [false, home, `${home}/etc/agent.yaml`, `${home}/data`]);
  t.deepEqual(await place(`${USER}\nsudo=yes`, "/home/ops/fc"), [
    false,
    "/home/ops/fc",
    "/home/ops/fc/etc/agent.yaml",
    "/home/ops/fc/data",
  ]);
  t.is((await place(`${USER}\nsudo=yes`, "/srv/fc"))[0], true);
  await t.throwsAsync(place("uid=1000\nhome=/home/a b"), { message: /home folder "\/home\/a b" cannot be used/ });
});

test("facts are read past what the settings hold", async (t) => {
  const text =
    "folder=/opt\nfreeKib=900000\ninterpreter=yes\nsystemd=yes\ncurrent=1.0.0-a\nrelease=1.0.0-a\nrelease=0.9.0-b\nconfig=yes\n@@config@@\nfreeKib=1\nlabels: {}\n";
  const workplace = await findWorkplace(hostSaying(USER), "h", undefined);
  const facts = await readFacts(hostSaying(text), workplace, "/lib/x");
  t.is(facts.freeKib, 900_000);
  t.deepEqual(facts.releases, ["1.0.0-a", "0.9.0-b"]);
  t.is(facts.config, "freeKib=1\nlabels: {}\n");
  t.is(facts.manager, "ctl", "systemd is for root");
});

test("a host that agents cannot run on is refused with why and what to do", async (t) => {
  const workplace = await findWorkplace(hostSaying("uid=0\nhome=/root\nsystem=Linux\nmachine=x86_64"), "h", undefined);
  const bundle = { name: "1-a", bytes: 2 ** 20, node: { path: "/node", arch: "x64", interpreter: "/lib64/ld.so" } } as Bundle;
  const fine: HostFacts = {
    ...{ folder: "/opt", isWritable: true, freeKib: 10 ** 6, hasInterpreter: true, isMusl: false, manager: "systemd", hasCrontab: false },
    ...{ releases: [], current: undefined, unit: undefined, ctl: undefined, isActive: false, ready: undefined, config: undefined },
  };
  const why = (facts: Partial<HostFacts>, who = workplace.who) => {
    try {
      checkHost("h", bundle, { ...workplace, who }, { ...fine, ...facts });
      return undefined;
    } catch (error) {
      return error instanceof AppError && error.hint !== undefined ? error.message : String(error);
    }
  };
  t.is(why({}), undefined);
  t.is(why({ unit: "/opt/fleetcron 123" }), undefined);
  t.regex(why({ hasInterpreter: false, isMusl: true }) ?? "", /^h: checking the host: it has no \/lib64\/ld\.so: its C library is musl$/);
  t.regex(why({ isWritable: false }) ?? "", /\/opt is not writable/);
  t.regex(why({ freeKib: 1024 }) ?? "", /1 MiB free, and 65 MiB are needed/);
  t.is(why({ freeKib: 1024, releases: ["1-a"] }), undefined, "nothing is unpacked");
  t.regex(why({ unit: "/srv/other 123" }) ?? "", /installed in \/srv\/other$/);
  t.regex(why({}, { ...workplace.who, missing: ["tar", "gzip"] }) ?? "", /it lacks tar, gzip/);
  t.regex(why({}, { ...workplace.who, machine: "riscv64" }) ?? "", /its processor is riscv64/);
});
