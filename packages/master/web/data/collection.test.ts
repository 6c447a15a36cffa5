import test from "ava";
import { createCollection } from "./collection.ts";

type Item = { readonly id: string; readonly n: number };
/** Wakes at once. */
const clock = {
  after(_: number, fn: () => void) {
    fn();
    return () => {};
  },
};
const item = (id: string, n: number): Item => ({ id, n });

function bench() {
  const lists: { page(items: readonly Item[]): void; end: PromiseWithResolvers<void> }[] = [];
  const ready = Promise.withResolvers<void>();
  const collection = createCollection<Item>(
    { clock, ready: ready.promise },
    {
      list(page) {
        const end = Promise.withResolvers<void>();
        lists.push({ page, end });
        return end.promise;
      },
      keyOf: ({ id }) => id,
    },
  );
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const held = () => Object.fromEntries([...collection.items.value.values()].map(({ id, n }) => [id, n]));
  return { collection, lists, ready, settle, held };
}

test("nothing is listed before somebody looks, nor before changes are followed", async (t) => {
  const { collection, lists, ready, settle } = bench();
  collection.change("a", () => item("a", 1));
  await settle();
  t.is(lists.length, 0);
  collection.want();
  collection.want();
  await settle();
  t.is(lists.length, 0);
  ready.resolve();
  await settle();
  t.is(lists.length, 1);
  t.is(collection.state.value, "loading");
});

test("changes that come while a list is under way are on top of it; pages are shown as they come", async (t) => {
  const { collection, lists, ready, settle, held } = bench();
  ready.resolve();
  collection.want();
  await settle();
  lists[0]!.page([item("a", 1), item("b", 1)]);
  t.deepEqual([held(), collection.state.value], [{ a: 1, b: 1 }, "partly"]);
  collection.change("a", () => item("a", 2));
  collection.change("b", () => undefined);
  lists[0]!.page([item("c", 1)]);
  lists[0]!.end.resolve();
  await settle();
  t.deepEqual([held(), collection.state.value], [{ a: 2, c: 1 }, "ready"]);
});

test("listed anew, what is gone goes; a list that was overtaken is dropped; what fails leaves what was there", async (t) => {
  const { collection, lists, ready, settle, held } = bench();
  ready.resolve();
  collection.want();
  await settle();
  lists[0]!.page([item("a", 1)]);
  lists[0]!.end.resolve();
  await settle();
  collection.renew();
  collection.renew();
  await settle();
  t.deepEqual(held(), { a: 1 }, "the old list stays in sight");
  lists[2]!.page([item("b", 3)]);
  lists[2]!.end.resolve();
  await settle();
  lists[1]!.page([item("a", 2)]);
  lists[1]!.end.resolve();
  await settle();
  t.deepEqual(held(), { b: 3 });
  collection.renew();
  await settle();
  lists[3]!.end.reject(new Error("away"));
  await settle();
  t.deepEqual([held(), collection.state.value, String(collection.error.value)], [{ b: 3 }, "ready", "Error: away"]);
});
