import test from "ava";
import { createEventFeed, type FeedEntry, type FeedPlace } from "./event-feed.ts";

const change = (key: string, kind = "job") => ({ kind, key, group: undefined, value: () => key });

function setup(size?: number) {
  const revisions = [10, 10];
  const feed = createEventFeed(
    revisions.map((_, index) => ({ revision: () => revisions[index] ?? 0 })),
    size,
  );
  const add = (source: number, keys: string[], revision: number) => {
    revisions[source] = revision;
    feed.add(
      source,
      keys.map((key) => change(key, `kind${source}`)),
      revision,
    );
  };
  const read = (place: FeedPlace | undefined, limit = 1000) => {
    const keys: string[] = [];
    for (let entry: FeedEntry | "lost" | undefined; place !== undefined && keys.length < limit; ) {
      entry = feed.next(place);
      if (entry === undefined) break;
      keys.push(entry === "lost" ? "lost" : entry.key);
      if (entry === "lost") break;
    }
    return keys.join(" ");
  };
  return { feed, add, read, revisions };
}

test("a reader gets each change in order, once, the newest of a thing only", (t) => {
  const { feed, add, read } = setup();
  const place = feed.here();
  add(0, ["a", "b"], 11);
  add(1, ["x"], 12);
  add(0, ["a"], 13);
  t.is(read(place), "b x a");
  t.is(read(place), "");
  add(0, ["b"], 14);
  t.is(read(place), "b");
});

test("a place holds at another master: after it nothing is missed, within a batch it is told again", (t) => {
  const { feed, add, read } = setup();
  const place = feed.here();
  add(0, ["a", "b", "c"], 12);
  add(1, ["x"], 15);
  t.is(read(place, 2), "a b");
  t.deepEqual(place.positions, [10, 10], "the batch is not complete");
  t.is(read(feed.after(place.positions)), "a b c x");
  t.is(read(place), "c x");
  t.deepEqual(place.positions, [12, 15]);
  t.is(read(feed.after(place.positions)), "");
  t.is(read(feed.after([11])), "a b c x");
  t.is(read(feed.after([12])), "x");
});

test("sources lag behind each other: what a fast one has told hides nothing of a slow one", (t) => {
  const { feed, add, read } = setup();
  const place = feed.here();
  add(0, ["a"], 20);
  t.is(read(place), "a");
  const { positions } = place;
  add(1, ["x"], 15);
  t.is(read(feed.after(positions)), "x");
});

test("who is too far behind is told so, and so is everybody when changes came out of order", (t) => {
  const { feed, add, read, revisions } = setup(3);
  const slow = feed.here();
  for (let n = 0; n < 5; n++) add(0, [`k${n}`], 11 + n);
  t.is(read(slow), "lost");
  t.is(feed.after([11]), undefined);
  t.is(read(feed.after([12])), "k2 k3 k4");
  t.is(feed.after([9]), undefined, "before this master began");
  t.is(feed.after([12, 12, 12]), undefined, "a place of another version");

  const live = feed.here();
  revisions[0] = 40;
  feed.add(0, [change("listed")], 15);
  t.is(read(live), "lost", "a list after a gap");
  t.is(read(feed.here()), "");
  t.is(feed.after([39]), undefined);
  add(0, ["new"], 41);
  t.is(read(feed.after([40])), "new");
});
