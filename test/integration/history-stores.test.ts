/** The adapters of the history on real databases: pages like an oracle's, each record once, the true one for the provisional one, hostile searches, migrations, retention. */
import { randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import test, { type ExecutionContext } from "ava";
import type { History, RecordFilter } from "fleetcron/history/history";
import { comparePlaces, endMsOf, matcher, placeOf } from "fleetcron/history/match";
import { migratePostgres, POSTGRES_MIGRATIONS } from "fleetcron/history/postgres-schema";
import { migrateSqlite, SQLITE_MIGRATIONS } from "fleetcron/history/sqlite-schema";
import { systemClock } from "fleetcron-shared/base/clock";
import type { ExecutionRecord } from "fleetcron-shared/model/record";
import pg from "pg";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { eventually } from "../support/fleet.ts";
import { endedAt, postgresAt, sqliteIn } from "../support/histories.ts";
import { PASSWORD, startPostgres } from "../support/postgres.ts";
import { tempFolder } from "../support/processes.ts";

const DAY = 86_400_000;
const T0 = Date.UTC(2026, 9, 1, 12);

/** The same test on both; a database of its own each. */
function both(title: string, check: (t: ExecutionContext, open: () => History) => Promise<void>): void {
  test(`SQLite: ${title}`, async (t) => {
    using folder = tempFolder();
    await check(t, () => sqliteIn(folder.path));
  });
  test(`PostgreSQL: ${title}`, async (t) => {
    await using server = await startPostgres();
    await check(t, () => postgresAt(server.url()));
  });
}

const idsOf = (records: readonly ExecutionRecord[]) => records.map(({ id }) => id);

/** All pages of a query. */
async function walk(history: History, filter: RecordFilter, limit: number): Promise<ExecutionRecord[]> {
  const found: ExecutionRecord[] = [];
  let before: Parameters<History["records"]>[0]["before"];
  for (let pages = 0; pages < 500; pages++) {
    const slice = await history.records({ ...filter, before, limit });
    found.push(...slice.records);
    before = slice.next;
    if (before === undefined) return found;
  }
  throw new Error("a list without an end");
}

function someRecords(count: number): ExecutionRecord[] {
  const words = ["disk full on /var/lib", "Connection REFUSED by 10.0.0.5:5432", "备份完成 backup done", "ok", "100% of rows_copied"];
  return Array.from({ length: count }, (_, i) => {
    const failed = i % 7 === 3;
    const outcome = i % 11 === 5 ? { type: "skipped", reason: "overlap" } : { type: "exit", code: failed ? 1 : 0 };
    // Several end in the same millisecond, and the days are many.
    const endMs = T0 + (Math.floor(i / 3) % 5) * DAY + Math.floor(i / 3) * 1000;
    const more = {
      success: !failed && outcome.type === "exit",
      outcome,
      name: `job ${i % 13}`,
      command: `run --n=${i}`,
      output: { tail: words[i % 5] ?? "", cutBytes: 0, totalBytes: 9 },
    };
    return endedAt(endMs, more as Partial<ExecutionRecord>, `g${i % 3}/j${i % 10}`, `n${i % 4}`);
  });
}

const FILTERS: RecordFilter[] = [
  {},
  { job: "g1/j4" },
  { group: "g2" },
  { node: "n3" },
  { outcome: "success" },
  { outcome: "failure" },
  { outcome: "skipped" },
  { outcome: "skipped:overlap" },
  { outcome: "exit:1", node: "n1" },
  { group: "g0", outcome: "success", node: "n2" },
  { sinceMs: T0 + DAY, untilMs: T0 + 3 * DAY },
  { text: "disk" },
  { text: "connection refused", node: "n1" },
  { text: "10.0.0.5" },
  { text: "10.0.0" },
  { text: "备份" },
  { text: "份完" },
  { text: "back*", outcome: "success" },
  { text: "bac" },
  { text: "100% rows_copied", job: "g2/j4" },
  { text: "--n=44" },
  { text: "n=7" },
  { text: "disk", outcome: "failure", sinceMs: T0, untilMs: T0 + 2 * DAY },
];

both("pages by each filter are those of a plain list, at any size of page", async (t, open) => {
  const history = open();
  await history.open("c1");
  // More than what a search looks at in order.
  const records = someRecords(1600);
  for (let at = 0; at < records.length; at += 90) await history.append({ records: records.slice(at, at + 90), runs: [] });
  const ordered = [...records].sort((a, b) => comparePlaces(placeOf(a), placeOf(b)));
  for (const filter of FILTERS) {
    const expected = idsOf(ordered.filter(matcher(filter)));
    for (const limit of [1000, 37, 4])
      t.deepEqual(idsOf(await walk(history, filter, limit)), expected, `${JSON.stringify(filter)} by ${limit}`);
  }
  t.deepEqual(await walk(history, { text: "bac" }, 10), [], "the middle of a word is none");
  t.true((await walk(history, { text: "disk" }, 10)).length > 50);
  t.deepEqual(await history.record(records[5]!.id), records[5]);
  t.is(await history.record("nobody"), undefined);
  t.deepEqual(idsOf(await history.recordsOf(records[8]!.execution)), [records[8]!.id]);
  await history.close();
});

both("a record is there once, however often it comes, and a true one takes the place of the provisional one only", async (t, open) => {
  const [history, other] = [open(), open()];
  await history.open("c1");
  await other.open("c1");
  t.is(await history.position(), undefined);
  const records = someRecords(50);
  await Promise.all([
    history.append({ records, runs: [], upTo: 70 }),
    other.append({ records: records.slice(10, 40), runs: [], upTo: 60 }),
  ]);
  await history.append({ records: [...records, ...records], runs: [] });
  t.is((await walk(history, {}, 7)).length, 50);
  t.is(await other.position(), 70, "the later position stays");
  await other.append({ records: [], runs: [], upTo: 20, anew: true });
  t.is(await history.position(), 20, "unless etcd was put back");

  const lost = endedAt(T0 + 9 * DAY, { provisional: true, success: false, outcome: { type: "lost", why: "nodeGone" }, name: "gone" });
  const truth = { ...endedAt(T0 + 2 * DAY, { name: "found" }), id: lost.id, execution: lost.execution };
  await history.append({ records: [lost], runs: [] });
  await history.append({ records: [lost], runs: [] });
  t.is((await walk(history, { outcome: "lost:nodeGone" }, 7)).length, 1);
  await other.append({ records: [truth], runs: [] });
  await history.append({ records: [lost, truth, lost], runs: [] });
  t.deepEqual(await history.record(lost.id), truth);
  t.deepEqual(await walk(history, { outcome: "lost" }, 7), []);
  t.deepEqual(await walk(history, { text: "gone" }, 7), []);
  t.deepEqual(idsOf(await walk(history, { text: "found" }, 7)), [lost.id]);
  t.is((await walk(history, {}, 7)).length, 51);
  await history.close();
  await other.close();
});

both("verdicts of missed ticks grow, and go when they are taken back", async (t, open) => {
  const history = open();
  await history.open("c1");
  const missed = (endMs: number, dueCount: number, id = "01KG8V4QZR0000000000000000.missed-1") =>
    endedAt(endMs, {
      ...{ id, execution: id.slice(0, -2), provisional: true, success: false, dueCount, dueAt: new Date(T0).toISOString(), ruleId: "r1" },
      ...{ outcome: { type: "missed", reason: "nodeOffline" } },
    });
  const [first, longer, void0] = [missed(T0, 2), missed(T0 + DAY, 900), missed(T0 + 2 * DAY, 0)];
  await history.append({ records: [first], runs: [] });
  await history.append({ records: [longer], runs: [] });
  await history.append({ records: [first], runs: [] });
  t.deepEqual(
    (await walk(history, { outcome: "missed" }, 7)).map(({ dueCount }) => dueCount),
    [900],
    "the later form, however the earlier comes again",
  );
  t.is((await history.record(longer.id))?.dueCount, 900);
  await history.append({ records: [missed(T0 + DAY, 5, "01KG8V4QZS0000000000000000.missed-1"), void0], runs: [] });
  t.deepEqual(
    (await walk(history, { outcome: "missed" }, 7)).map(({ dueCount }) => dueCount),
    [5],
  );
  t.is(await history.record(longer.id), undefined);
  await history.append({ records: [first, void0], runs: [] });
  t.is((await walk(history, { outcome: "missed" }, 7)).length, 1, "none comes back");
  await history.close();
});

both("hostile texts are texts", async (t, open) => {
  const history = open();
  await history.open("c1");
  const nasty = [
    "'; DROP TABLE records; --",
    '" OR "1"="1',
    "NEAR(a b)",
    "a AND NOT b",
    "words:*",
    "(((",
    "\\' & !x | y",
    "\0nul\0",
    "\ud800half",
    "%_",
    "☃",
    "x".repeat(5000),
    // Nothing that a database could make smaller.
    randomBytes(6000).toString("base64url"),
    "*",
    "**",
    "' ",
    "$1 $2",
  ];
  const records = nasty.map((tail, i) =>
    endedAt(
      T0 + i,
      { name: tail, command: tail, output: { tail, cutBytes: 0, totalBytes: 1 }, outcome: { type: "signal", name: tail } },
      "g/j",
      "a",
    ),
  );
  const wild = endedAt(Date.UTC(9999, 1, 1), { endTime: "never", handleTime: "2026-10-01T12:00:00.000Z" });
  const future = { ...endedAt(Date.UTC(9999, 1, 1)), handleTime: "2026-10-01T12:00:00.000Z" };
  await history.append({ records: [...records, wild, future], runs: [] });
  t.is((await walk(history, {}, 5)).length, records.length + 2);
  t.is(endMsOf(future), Date.parse("2026-10-01T12:00:00.000Z"), "a clock that is ahead is not believed");
  for (const text of nasty) {
    const found = idsOf(await walk(history, { text }, 5));
    t.deepEqual(
      found,
      idsOf([...records, wild, future].filter(matcher({ text })).sort((a, b) => comparePlaces(placeOf(a), placeOf(b)))),
      text.slice(0, 40),
    );
    await t.notThrowsAsync(walk(history, { outcome: text, text: "x" }, 5));
  }
  t.is((await walk(history, { text: "DROP" }, 5)).length, 1);
  await history.close();
});

both("what is too old goes, portion by portion", async (t, open) => {
  const history = open();
  await history.open("c1");
  await history.append({ records: someRecords(300), runs: [] });
  const bound = Math.ceil((T0 + 2 * DAY) / DAY) * DAY;
  while ((await history.expire(bound)) > 0);
  const left = await walk(history, {}, 50);
  t.true(left.length > 50 && left.every((record) => endMsOf(record) >= bound), `${left.length}`);
  t.is(await history.expire(bound), 0);
  t.deepEqual(await walk(history, { text: "disk", untilMs: bound }, 5), []);
  await history.append({ records: [endedAt(T0 + 300)], runs: [] });
  t.is((await walk(history, {}, 50)).length, left.length + 1, "one that comes late is taken all the same");
  await history.close();
});

both("a history of another cluster is refused", async (t, open) => {
  const [history, other] = [open(), open()];
  await history.open("c1");
  await t.throwsAsync(other.open("c2"), { code: "history/refused", message: /belongs to cluster c1/ });
  await history.close();
  await other.close();
});

test("SQLite: a file of an earlier version is brought up to date, one of a later version is refused", async (t) => {
  using folder = tempFolder();
  const old = new DatabaseSync(folder.file("history.db"));
  migrateSqlite(old, SQLITE_MIGRATIONS.slice(0, 1));
  t.is(old.prepare("PRAGMA user_version").get()?.user_version, 1);
  old.exec("INSERT INTO records VALUES (1872000000000000000, 'E-1', 'g/j', 'g', 'a', 'success', 'exit', 'exit:0', 0, '{\"id\":\"E-1\"}')");
  old.close();
  const history = sqliteIn(folder.path);
  await history.open("c1");
  t.deepEqual(await history.runs({ before: "~", limit: 5 }), []);
  t.is((await history.record("E-1"))?.id, "E-1");
  await history.close();
  const later = new DatabaseSync(folder.file("history.db"));
  later.exec("PRAGMA user_version = 99");
  later.close();
  const refused = sqliteIn(folder.path);
  await t.throwsAsync(refused.open("c1"), { code: "history/refused", message: /later version/ });
  await refused.close();
});

test("SQLite: what is asked for while it closes has an end, too", async (t) => {
  using temp = tempFolder();
  const history = sqliteIn(temp.path);
  await history.open("c");
  const closed = history.close();
  // The thread is ended in the middle of these.
  const asked = await Promise.allSettled(Array.from({ length: 20_000 }, () => history.position()));
  t.true(asked.every(({ status }) => status === "rejected"));
  await closed;
});

test("PostgreSQL: tables of an earlier version are brought up to date by many at once, those of a later one refused", async (t) => {
  await using server = await startPostgres();
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  await client.query("BEGIN");
  await migratePostgres(client, POSTGRES_MIGRATIONS.slice(0, 1));
  await client.query("COMMIT");
  const histories = Array.from({ length: 4 }, () => postgresAt(server.url()));
  await Promise.all(histories.map((history) => history.open("c1")));
  t.deepEqual(
    (await server.query("SELECT version FROM fleetcron.version ORDER BY version")).map(({ version }) => version),
    [1, 2],
  );
  t.deepEqual(await histories[0]!.runs({ before: "~", limit: 5 }), []);
  await client.query("INSERT INTO fleetcron.version (version) VALUES (99)");
  await client.end();
  await t.throwsAsync(histories[1]!.open("c1"), { code: "history/refused", message: /later version/ });
  await Promise.all(histories.map((history) => history.close()));
});

test("PostgreSQL: a connection that breaks in the middle of a batch fails that batch, and nothing else", async (t) => {
  await using server = await startPostgres();
  await using proxy = await startFaultProxy(server.port);
  const history = postgresAt(`postgres://fleet:${PASSWORD}@127.0.0.1:${proxy.port}/postgres`);
  await history.open("c");
  const outcomes = new Set<string>();
  for (let round = 0; round < 40; round++) {
    const records = Array.from({ length: 500 }, () => endedAt(Date.UTC(2027, 0, 1)));
    const appended = history.append({ records, runs: [] }).then(
      () => "kept",
      (error: { code?: string }) => error.code ?? "none",
    );
    await systemClock.sleep(round);
    proxy.cut();
    outcomes.add(await appended);
    proxy.open();
    await eventually("it is back", () =>
      history.open("c").then(
        () => true,
        () => false,
      ),
    );
  }
  outcomes.delete("kept");
  t.deepEqual([...outcomes], ["history/away"]);
  await history.close();
});

test("PostgreSQL: each day is a partition, and a page reads only those that it needs", async (t) => {
  await using server = await startPostgres();
  const history = postgresAt(server.url());
  await history.open("c1");
  await history.append({ records: someRecords(100), runs: [] });
  const names = async () =>
    (
      await server.query<{ name: string }>(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'fleetcron.records'::regclass ORDER BY 1",
      )
    ).map(({ name }) => name);
  t.deepEqual(
    await names(),
    [1, 2, 3, 4, 5].map((day) => `fleetcron.records_2026100${day}`),
  );
  const plan = JSON.stringify(
    await server.query(`EXPLAIN SELECT doc FROM fleetcron.records WHERE end_ms <= ${T0 + DAY} ORDER BY end_ms DESC, id DESC LIMIT 10`),
  );
  t.false(/records_20261003/.test(plan), plan);
  t.false(/Sort/.test(plan), plan);
  t.is(await history.expire(Date.UTC(2026, 9, 3)), 1);
  t.deepEqual((await names())[0], "fleetcron.records_20261002");
  await history.close();
});

test("PostgreSQL: wrong passwords, databases and certificates are told without the password", async (t) => {
  await using server = await startPostgres();
  for (const url of [
    server.url().replace("s3cret", "other"),
    server.url("nowhere"),
    `${server.url()}?sslmode=require`,
    "postgres://a:s3cret@127.0.0.1:1/x",
  ]) {
    const history = postgresAt(url);
    const error = await t.throwsAsync(history.open("c1"));
    t.regex((error as { code?: string }).code ?? "", /^history\//, url);
    t.notRegex(`${error?.message}`, /s3cret|other-pass/);
    await history.close();
  }
  t.throws(() => postgresAt(`${server.url()}?sslmode=prefer`), { code: "config/invalid", message: /sslmode "prefer"/ });
  t.throws(() => postgresAt(`${server.url()}?sslrootcert=/no/such`), { code: "config/invalid" });
  const socket = postgresAt(`postgres://fleet:s3cret-pass@localhost:${server.port}/postgres?host=${server.folder}`);
  await socket.open("c1");
  await socket.close();
});
