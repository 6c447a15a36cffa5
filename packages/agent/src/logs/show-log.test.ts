/** What the readers of a log get: exact bytes, masked however they are cut into pieces, with marks where something is left out. */
import { appendFileSync, writeFileSync } from "node:fs";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import type { LogChunk, LogOrder } from "fleetcron-shared/model/facts";
import { CHUNK_BYTES, packBytes, unfinishedBytes, unpackBytes } from "fleetcron-shared/wire/log-chunk";
import { tempFolder, until } from "../../../../test/support/processes.ts";
import { createMasker } from "./masker.ts";
import { type ActiveAttempt, type ShowDeps, showLog } from "./show-log.ts";

type Chunk = Omit<LogChunk, "v">;
const textOf = (chunks: readonly Chunk[]) => Buffer.concat(chunks.map(unpackBytes)).toString("latin1");
const order = (more: Partial<LogOrder>): LogOrder => ({
  v: 1,
  type: "log",
  id: "o",
  execution: "e",
  follow: false,
  by: "test",
  orderedAt: "",
  ...more,
});

function bench(active: ActiveAttempt | undefined, secrets: readonly string[] = [], perSecond = 1e9) {
  const temp = tempFolder();
  const chunks: Chunk[] = [];
  const deps: ShowDeps = {
    clock: systemClock,
    budget: { perSecond },
    execDir: temp.path,
    activeOf: () => active,
    maskerOf: () => createMasker(secrets),
  };
  const stop = new AbortController();
  const show = (more: Partial<LogOrder>, onChunk: (chunk: Chunk) => void = () => {}) =>
    showLog(
      deps,
      order(more),
      async (chunk) => {
        chunks.push(chunk);
        onChunk(chunk);
        return true;
      },
      stop.signal,
    );
  return { temp, chunks, show, log: (attempt = 1) => temp.file(`e-${attempt}.log`), [Symbol.dispose]: () => temp[Symbol.dispose]() };
}

test("any bytes come through a chunk as they were, under 64 KiB of value", (t) => {
  const random = Buffer.from(Array.from({ length: CHUNK_BYTES }, (_, i) => (i * 7919 + (i >> 3)) & 255));
  const samples = [
    Buffer.alloc(0),
    Buffer.from("text\n"),
    Buffer.from([0xff, 0xfe, 0]),
    Buffer.from("\u001b[31mred\u001b[0m ü 世界\r\n"),
    random,
  ];
  samples.push(Buffer.alloc(CHUNK_BYTES, "ab\n"), Buffer.alloc(CHUNK_BYTES, 0), Buffer.from("\ufeffbom"), Buffer.from("\ufffd"));
  for (const sample of samples) {
    const packed = packBytes(sample);
    t.true(unpackBytes(packed).equals(sample));
    t.true(Buffer.byteLength(JSON.stringify(packed)) < 64 * 1024 - 500);
  }
  t.deepEqual(packBytes(Buffer.from("readable ü\n")), { text: "readable ü\n" });
  for (const char of ["a", "ü", "世", "😀"]) {
    const bytes = Buffer.from(`x${char}`);
    for (let cut = 1; cut <= bytes.length; cut++) {
      const expected = cut === 1 || cut === bytes.length ? 0 : cut - 1;
      t.is(unfinishedBytes(bytes.subarray(0, cut)), expected, `${char} ${cut}`);
    }
  }
});

test("a line is found, by what may be seen of it", async (t) => {
  using it = bench(undefined, ["geheim"]);
  writeFileSync(it.log(), "one geheim\ntwo\none\n");
  const find = async (text: string, from: number, up: boolean) => {
    it.chunks.length = 0;
    await it.show({ find: { text, up }, from });
    const last = it.chunks.at(-1);
    t.deepEqual([textOf(it.chunks), last?.end, last?.size], ["", "part", 19]);
    return last?.found === true && last.from;
  };
  t.is(await find("ONE", 0, false), 0);
  t.is(await find("one", 1, false), 15);
  t.is(await find("one", 15, true), 0);
  t.is(await find("three", 0, false), false);
  t.is(await find("geheim", 0, false), false, "a secret is not found either");
  t.is(await find("******", 0, false), 0);
  it.chunks.length = 0;
  await it.show({ find: { text: "one", up: false }, attempt: 2 });
  t.like(it.chunks.at(-1), { gone: true, end: "part" });
});

test("a part: from an offset, by lines, by bytes; then its end with the size", async (t) => {
  using it = bench(undefined);
  writeFileSync(it.log(), "one\ntwo\nthree\nfour");
  const read = async (more: Partial<LogOrder>) => {
    it.chunks.length = 0;
    await it.show(more);
    const last = it.chunks.at(-1);
    t.is(last?.end, "part");
    t.is(last?.size, 18);
    return [textOf(it.chunks), last?.to];
  };
  t.deepEqual(await read({}), ["one\ntwo\nthree\nfour", 18]);
  t.deepEqual(await read({ from: 4, bytes: 5 }), ["two\nt", 9]);
  t.deepEqual(await read({ head: 2 }), ["one\ntwo\n", 8]);
  t.deepEqual(await read({ from: 1, head: 1 }), ["ne\n", 4]);
  t.deepEqual(await read({ tail: 2 }), ["three\nfour", 18]);
  t.deepEqual(await read({ tail: 0 }), ["", 18]);
  t.deepEqual(await read({ from: 99 }), ["", 99]);
  using before = bench({ attempt: 1, state: "running" });
  await before.show({});
  t.deepEqual(before.chunks, [{ attempt: 1, from: 0, to: 0, size: 0, end: "part" }], "nothing is written yet");
  it.chunks.length = 0;
  await it.show({ attempt: 2 });
  t.deepEqual(it.chunks, [{ attempt: 2, from: 0, to: 0, size: 0, end: "part", gone: true }]);
});

test("a secret is masked wherever a piece ends, and while only its beginning is written", async (t) => {
  const secret = "hunter2-is-the-password";
  for (const at of [0, 100, CHUNK_BYTES - secret.length, CHUNK_BYTES - 10, CHUNK_BYTES - 1, CHUNK_BYTES]) {
    using it = bench(undefined, [secret, "p2"]);
    const text = `${"x".repeat(at)}${secret}${"y".repeat(100)} p2`;
    writeFileSync(it.log(), text);
    await it.show({});
    const stars = "*".repeat(secret.length);
    t.is(textOf(it.chunks), text.replace(secret, stars).replace("p2", "**"), `at ${at}`);
    it.chunks.length = 0;
    await it.show({ from: at + 5 });
    t.is(
      textOf(it.chunks),
      text
        .replace(secret, stars)
        .replace("p2", "**")
        .slice(at + 5),
      `from the middle, at ${at}`,
    );
  }
  const active = { attempt: 1, state: "running" as ActiveAttempt["state"] };
  using it = bench(active, [secret]);
  writeFileSync(it.log(), "a hunt");
  const shown = it.show({ follow: true });
  await until("the beginning is shown", () => textOf(it.chunks) === "a ");
  appendFileSync(it.log(), "er2-is-the-password, hunter");
  await until("the secret is shown masked", () => textOf(it.chunks) === `a ${"*".repeat(secret.length)}, `);
  active.state = "ended";
  await shown;
  t.is(textOf(it.chunks), `a ${"*".repeat(secret.length)}, hunter`, "what was no secret after all");
  t.is(it.chunks.at(-1)?.end, "ended");
});

test("who follows a log that grows faster than it may be shown is taken to its end and told what is missing", async (t) => {
  const active = { attempt: 1, state: "running" as ActiveAttempt["state"] };
  using it = bench(active, [], 64 * 1024);
  writeFileSync(it.log(), "start\n");
  let written = 6;
  const shown = it.show({ follow: true }, (chunk) => {
    if (chunk.to === 6 && written === 6) {
      const much = `${"z".repeat(99)}\n`.repeat(20_000);
      appendFileSync(it.log(), much);
      written += much.length;
    }
  });
  await until("the end is shown", () => (it.chunks.at(-1)?.to ?? 0) === written && written > 6);
  active.state = "ended";
  await shown;
  const skipped = it.chunks.find((chunk) => chunk.skipped !== undefined);
  t.is(skipped?.skipped?.why, "fast");
  const after = it.chunks.slice(it.chunks.indexOf(skipped as Chunk));
  t.is((skipped?.from ?? 0) - (skipped?.skipped?.bytes ?? 0), 6);
  t.is((written - (skipped?.from ?? 0)) % 100, 0, "it goes on at the beginning of a line");
  t.is(textOf(after).length, written - (skipped?.from ?? 0));
});

test("what was there when a reader came is not skipped, however long it takes", async (t) => {
  const active = { attempt: 1, state: "running" as ActiveAttempt["state"] };
  using it = bench(active, [], 1024);
  const text = `${"z".repeat(99)}\n`.repeat(3000);
  writeFileSync(it.log(), text);
  await it.show({ follow: true }, (chunk) => {
    if (chunk.to === text.length) active.state = "ended";
  });
  t.is(textOf(it.chunks), text);
});
