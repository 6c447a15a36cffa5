import test from "ava";
import fc from "fast-check";
import { type AppError, formatIssue } from "../base/errors.ts";
import { importCrontab } from "./crontab.ts";
import { readCrontabLines, splitPercent } from "./crontab-lines.ts";
import { meaningAt, parseJobFile } from "./job-file.ts";
import { jobsToYaml } from "./job-yaml.ts";

const user = (text: string) => importCrontab(text, { system: false, file: "c", group: "g" });
const system = (text: string) => importCrontab(text, { system: true, file: "c", group: "g" });
const notes = (text: string) => user(text).notes.map(formatIssue);
const timers = (text: string) => user(text).jobs.map((job) => job.spec.rules[0]?.timer);

test("five fields with names, lists, ranges and steps are taken as they are", (t) => {
  const lines = ["*/5 * * * *", "0 9-17/2 1,15 * *", "5 4 * jan-jun mon-FRI", "0 0 * * 7", "0 0 * * 0-7"];
  t.deepEqual(timers(lines.map((when, i) => `${when} cmd${i}`).join("\n")), lines);
  t.deepEqual(timers("  0\t0 *  * *\tcmd  "), ["0 0 * * *"]);
});

test("@ words", (t) => {
  const words = ["@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
  t.deepEqual(timers(words.map((word, i) => `${word} cmd${i}`).join("\n")), [
    "@startup",
    "@yearly",
    "@yearly",
    "@monthly",
    "@weekly",
    "@daily",
    "@daily",
    "@hourly",
  ]);
  t.regex(notes("@every_minute x")[0] ?? "", /^c:1: not imported: @every_minute is not known/);
});

test("a system crontab names the user", (t) => {
  const { jobs } = system("17 * * * *\troot\tcd / && run-parts --report /etc/cron.hourly\n@daily www-data /bin/x a b");
  t.deepEqual(
    jobs.map((job) => [job.spec.run.command?.user, job.spec.run.command?.script]),
    [
      ["root", "cd / && run-parts --report /etc/cron.hourly"],
      ["www-data", "/bin/x a b"],
    ],
  );
  t.regex(formatIssue(system("17 * * * * root\n").notes[0] ?? { message: "" }), /no command behind the user/);
  t.regex(notes("17 * * * * root /bin/x")[0] ?? "", /is this a system crontab/);
});

test("% ends the command, the rest is its input; \\% is a percent sign", (t) => {
  t.deepEqual(splitPercent("a"), { command: "a", stdin: undefined });
  t.deepEqual(splitPercent("mail me%Hi%there"), { command: "mail me", stdin: "Hi\nthere\n" });
  t.deepEqual(splitPercent("date +\\%F"), { command: "date +%F", stdin: undefined });
  t.deepEqual(splitPercent("a\\%b%c\\%d%"), { command: "a%b", stdin: "c%d\n" });
  t.deepEqual(splitPercent("sed 's/\\./x/' \\"), { command: "sed 's/\\./x/' \\", stdin: undefined });
  t.is(user("0 0 * * * cat%1%2").jobs[0]?.spec.run.command?.stdin, "1\n2\n");
});

test("settings hold for the entries below them", (t) => {
  const { jobs, notes: said } = user(
    'A=1\n0 0 * * * one\nSHELL=/bin/bash\n"B C" = x\nB = "two words" \nHOME=/srv\nCRON_TZ=Europe/Berlin\nRANDOM_DELAY=5\nA=\'2\'\n0 0 * * * two\n',
  );
  t.deepEqual(jobs[0]?.spec, { run: { command: { script: "one" } }, rules: [{ mode: "cycle", timer: "0 0 * * *" }], env: { A: "1" } });
  t.deepEqual(jobs[1]?.spec, {
    run: { command: { script: "two", shell: ["/bin/bash", "-c"], cwd: "/srv" } },
    rules: [{ mode: "cycle", timer: "0 0 * * *", timezone: "Europe/Berlin", jitter: "5m" }],
    env: { A: "2", B: "two words", HOME: "/srv" },
  });
  t.deepEqual(
    said.map((note) => note.line),
    [4],
  );
});

test("settings without a counterpart are named", (t) => {
  t.deepEqual(
    notes("MAILTO=ops@example.org\nLOGNAME=x\nFLEETCRON_X=1\nRANDOM_DELAY=x\n@daily a\nLATE=1").map((note) => note.slice(0, 30)),
    [
      "c:1: MAILTO is not carried ove",
      "c:2: LOGNAME is not carried ov",
      "c:3: FLEETCRON_X is not carrie",
      "c:4: RANDOM_DELAY is not carri",
      "c:6: LATE is set, but no impor",
    ],
  );
});

test("TZ is the time zone unless CRON_TZ is given, and that is said", (t) => {
  const { jobs, notes: said } = user("TZ=Asia/Tokyo\n@daily a\nCRON_TZ=UTC\n@daily b\n");
  t.deepEqual(
    jobs.map((job) => [job.spec.rules[0]?.timezone, job.spec.env]),
    [
      ["Asia/Tokyo", { TZ: "Asia/Tokyo" }],
      ["UTC", { TZ: "Asia/Tokyo" }],
    ],
  );
  t.is(said[0]?.line, 1);
  t.is(
    importCrontab("@daily a", { system: false, file: "c", group: "g", timezone: "Europe/Paris" }).jobs[0]?.spec.rules[0]?.timezone,
    "Europe/Paris",
  );
  t.regex(notes("CRON_TZ=Mars\n@daily a")[1] ?? "", /^c:2: not imported: rules\[0\]\.timezone: time zone "Mars" is not known/);
});

test("comments directly above an entry are its description", (t) => {
  const { jobs, notes: said } = user(
    "# header\n\n# the backup\n# ------\n#   of all\n@daily a\n# m h  dom mon dow   command\n#0 1 * * * off\n@daily b\n",
  );
  t.deepEqual(
    jobs.map((job) => job.spec.description),
    ["the backup\n  of all", undefined],
  );
  t.deepEqual(
    said.map((note) => [note.line, /commented-out/.test(note.message)]),
    [
      [1, false],
      [7, false],
      [8, true],
    ],
  );
});

const refused: [string, RegExp][] = [
  ["0~30 * * * * x", /random ranges/],
  ["61 * * * * x", /out of range/],
  ["0 0 30 2 * x", /never fires/],
  ["* * * * *", /no command/],
  ["hello", /neither a comment/],
  ["@daily", /no command/],
  ["@daily -n x", /flags before the command/],
  [`@daily ${"x".repeat(60_000)}`, /60000 characters|KiB as JSON/],
  ["@daily a\0b", /NUL/],
];
for (const [line, why] of refused) {
  test(`"${line.slice(0, 20)}" is not imported, with the reason and the line`, (t) => {
    const { jobs, notes: said } = user(`\n${line}\n@hourly ok\n`);
    t.is(jobs.length, 1);
    t.is(said.length, 1);
    t.is(said[0]?.line, 2);
    t.regex(said[0]?.message ?? "", why);
  });
}

test("ids are readable", (t) => {
  const cases: [string, string][] = [
    ["/usr/local/bin/backup.sh", "backup"],
    ["cd /srv/app && nice -n 10 ./Report.py --all", "report"],
    ["php /var/www/artisan schedule:run >> /dev/null 2>&1", "artisan-schedule-run"],
    ["test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )", "run-parts-cron.daily"],
    ["flock -n /tmp/l timeout 5m python3 -m app.report", "app.report"],
    ["FOO=1 sudo -u www-data /opt/x", "x"],
    ['sh -c "exec /opt/run-it now"', "run-it-now"],
    ["bash", "bash"],
    ["日本", "job"],
  ];
  for (const [command, id] of cases) t.is(user(`@daily ${command}`).jobs[0]?.id, id, command);
});

test("ids do not depend on the other lines, unless these share the name", (t) => {
  const idOf = (text: string, script: string) => user(text).jobs.find((job) => job.spec.run.command?.script === script)?.id;
  t.is(idOf("@daily x\n@daily backup --a\n@hourly z", "backup --a"), "backup");
  const shared = idOf("@daily backup --a\n@daily backup --b", "backup --a");
  t.regex(shared ?? "", /^backup-[0-9a-z]{6}$/);
  t.is(idOf("@daily backup --c\n@daily backup --b\n# more\n@hourly y\n@daily backup --a", "backup --a"), shared);
  t.is(idOf("@weekly backup --b\n@monthly backup --a", "backup --a"), shared, "nor on the time, as long as the command tells");
  t.is(new Set(user("@daily backup\n@hourly backup\n@weekly backup").jobs.map((job) => job.id)).size, 3);
  t.deepEqual(notes("@daily a\n@daily a"), ["c:2: the same entry as line 1; it is imported once"]);
});

test("a group that cannot be one is refused", (t) => {
  t.is((t.throws(() => importCrontab("", { system: false, file: "c", group: "A/b" })) as AppError).code, "input/invalid");
});

const anyLine = fc.oneof(
  fc.constantFrom(
    "",
    "# words",
    "#0 1 * * * off",
    "# m h dom mon dow command",
    "# ----",
    "MAILTO=x",
    "PATH=/bin",
    "SHELL=/bin/bash",
    "A = 'b'",
    "CRON_TZ=UTC",
    "TZ=x",
    "RANDOM_DELAY=3",
  ),
  fc.constantFrom(
    "@daily a",
    "@reboot b x",
    "*/5 * * * * c%d",
    "0 0 * * * root d",
    "1~2 * * * * e",
    "0 0 30 2 * f",
    "* * * * *",
    "-1 2 3 4 5 g",
    "@never h",
    "99 * * * * i",
  ),
  fc.string({ maxLength: 30 }).map((text) => text.replace(/[\r\n]/g, "")),
  fc
    .tuple(fc.stringMatching(/^[0-9*/,a-z-]{1,4}( [0-9*/,a-z-]{1,4}){4}$/), fc.string({ unit: "binary", maxLength: 20 }))
    .map(([when, text]) => `${when} ${text.replace(/[\r\n]/g, "")}`),
);

test("no line gets lost: each is in a job, in force for one, or in a note", (t) => {
  fc.assert(
    fc.property(fc.array(anyLine, { maxLength: 12 }), fc.boolean(), (lines, isSystem) => {
      const text = lines.join("\n");
      const { jobs, notes: said } = importCrontab(text, { system: isSystem, file: "c", group: "g" });
      const noted = new Set(
        said.flatMap((note) => {
          const [, first = note.line, last = note.line] = /\(lines (\d+) to (\d+)\)/.exec(note.message) ?? [];
          return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
        }),
      );
      const imported = new Set(jobs.map((job) => job.line));
      const envs = JSON.stringify(jobs.map((job) => job.spec));
      for (const line of readCrontabLines(text, isSystem)) {
        if (line.type === "blank" || noted.has(line.line) || imported.has(line.line)) continue;
        if (line.type === "env")
          t.true(
            ["SHELL", "CRON_TZ", "RANDOM_DELAY"].includes(line.name) || envs.includes(JSON.stringify(line.name)),
            `env line ${line.line} of ${JSON.stringify(text)}`,
          );
        else if (line.type === "comment")
          t.true(
            line.look === "decoration" || jobs.some((job) => job.spec.description?.includes(line.text)),
            `comment ${line.line} of ${JSON.stringify(text)}`,
          );
        else t.fail(`line ${line.line} of ${JSON.stringify(text)}`);
      }
      t.is(new Set(jobs.map((job) => job.id)).size, jobs.length);
      t.is(parseJobFile(jobsToYaml(jobs), "y", meaningAt(0)).length, jobs.length);
    }),
    { numRuns: 1000 },
  );
});
