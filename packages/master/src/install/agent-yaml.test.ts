import test from "ava";
import { checkAgentConfig, configFromFile, configFromWishes, dataDirOf, isOurs } from "./agent-yaml.ts";
import { checkPrefix } from "./places.ts";

test("what an installation has written is known again, until somebody edits it", (t) => {
  const text = configFromWishes({ etcd: ["http://e:2379"], nodeId: "n", labels: { role: "db" } }, "/var/x");
  t.true(isOurs(text));
  t.false(isOurs(`${text}# a note\n`));
  t.false(isOurs(text.replace("role: db", "role: web")));
  t.false(isOurs("etcd: [http://e:2379]\n"));
  t.deepEqual(checkAgentConfig(text, "x"), { dataDir: "/var/x", etcd: ["http://e:2379"] });
  t.is(dataDirOf(text, "/other"), "/var/x");
  t.is(dataDirOf(undefined, "/other"), "/other");
});

test("a file keeps its comments and gets a data folder unless it names one", (t) => {
  const text = configFromFile("# ours\netcd: [http://e:2379] # the only one\n", "/d");
  t.regex(text, /\n# ours\netcd: \[ ?http:\/\/e:2379 ?\] # the only one\ndataDir: \/d\n$/);
  t.regex(configFromFile("dataDir: /mine\n", "/d"), /\ndataDir: \/mine\n$/);
  const error = t.throws(() => checkAgentConfig("capacty: 3\n", "team.yaml"));
  t.regex(JSON.stringify((error as { issues?: unknown }).issues), /"file":"team.yaml"/);
});

test("folders that could mean more than a folder are refused", (t) => {
  t.is(checkPrefix("/opt/fleetcron/"), "/opt/fleetcron");
  for (const odd of ["", "/", "/opt", "opt/x", "/opt/../etc", "/opt/a b", "/opt/$(id)", "/opt/'x", "/opt/%h/x", "/opt//x"])
    t.throws(() => checkPrefix(odd), undefined, odd);
});
