import test from "ava";
import type { KeyValue, WatchEvent } from "./kv.ts";
import type { MirrorEvent } from "./mirror.ts";
import { createMirrorState } from "./mirror-state.ts";

const kv = (key: string, modRevision: number): KeyValue => ({
  key,
  value: "",
  createRevision: 1,
  modRevision,
  version: 1,
  lease: undefined,
});
const put = (key: string, modRevision: number): WatchEvent => ({ type: "put", kv: kv(key, modRevision) });
const del = (key: string, modRevision: number): WatchEvent => ({ type: "delete", key, modRevision });
const text = (events: readonly MirrorEvent[]) =>
  events.map((event) => (event.type === "put" ? `${event.kv.key}@${event.kv.modRevision}` : `-${event.key}`)).join(" ");

/** A mirror that was told `kvs` by a list at `revision`. */
function listed(revision: number, ...kvs: KeyValue[]) {
  const state = createMirrorState();
  const pass = state.beginList(false);
  pass.checkStore("1", revision);
  pass.page(kvs);
  pass.finish(revision);
  state.endList();
  return state;
}

test("events up to a list's revision that come after it are old news, also of keys that it did not contain", (t) => {
  const state = listed(5, kv("a", 5));
  const pass = state.beginList(true);
  t.true(pass.checkStore("1", 12));
  t.is(text(pass.page([kv("a", 10), kv("b", 12)])), "a@10 b@12");
  t.is(text(pass.finish(12)), "");
  state.endList();
  t.is(text(state.watched([put("c", 9), put("a", 10), del("c", 11), put("b", 12), put("d", 13)], 13)), "d@13");
  t.is(state.revision(), 13);
  t.is(state.next(), 14);
});

test("while a list runs, events older than its pages do not undo them", (t) => {
  const state = listed(5, kv("a", 5));
  const pass = state.beginList(true);
  pass.checkStore("1", 12);
  t.is(text(pass.page([kv("a", 10), kv("b", 12)])), "a@10 b@12");
  t.is(text(state.watched([put("a", 8), del("a", 9), put("a", 10), put("b", 11), put("b", 12)], 12)), "");
  t.is(text(pass.finish(12)), "");
});

test("while a list runs, events newer than its pages win", (t) => {
  const state = listed(5, kv("a", 5), kv("b", 5));
  const pass = state.beginList(true);
  pass.checkStore("1", 6);
  t.is(text(state.watched([del("a", 7), put("b", 8), put("c", 9)], 9)), "-a b@8 c@9");
  t.is(text(pass.page([kv("a", 5), kv("b", 5)])), "");
  t.is(text(pass.finish(6)), "");
  t.is(state.revision(), 9);
});

test("a list finds the put and the delete that the watch has lost", (t) => {
  const state = listed(5, kv("a", 5), kv("b", 5));
  t.is(text(state.watched([put("x", 9)], 9)), "x@9");
  const pass = state.beginList(true);
  pass.checkStore("1", 10);
  t.is(text(pass.page([kv("a", 7), kv("x", 9)])), "a@7");
  t.is(text(pass.finish(10)), "-b");
});

test("a revision that went back, or another cluster, makes everything unknown; beside a watch it is refused", (t) => {
  for (const [id, revision] of [
    ["1", 4],
    ["2", 50],
  ] as const) {
    const state = listed(5, kv("a", 5), kv("b", 3));
    const pass = state.beginList(false);
    t.true(pass.checkStore(id, revision));
    t.is(state.revision(), 0);
    t.is(text(pass.page([kv("a", 2)])), "a@2");
    t.is(text(pass.finish(revision)), "-b");
    t.is(state.next(), revision + 1);
  }
  const state = listed(5);
  t.true(state.beginList(true).checkStore("1", 4), "beside a watch a list may lag");
  t.false(state.beginList(true).checkStore("2", 6));
});

test("progress marks never go back", (t) => {
  const state = listed(5);
  state.progressed(9);
  state.progressed(7);
  t.deepEqual([state.revision(), state.next()], [9, 10]);
});
