import test from "ava";
import { createStoreIdentity } from "./store-identity.ts";

const header = (revision: number, cluster = "1") => ({ revision, clusterId: cluster });

test("a revision that goes back, or another cluster's id: etcd is another, told once", (t) => {
  const identity = createStoreIdentity();
  let told = 0;
  const unfollow = identity.onReplaced(() => told++);
  identity.asks()(header(10));
  identity.saw(20);
  const [early, late] = [identity.asks(), identity.asks()];
  early(header(12));
  t.is(told, 1);
  late(header(13));
  t.is(told, 1, "that was asked before");
  identity.asks()(header(14));
  t.is(told, 1, "from here on it is this one");
  identity.asks()(header(15, "2"));
  t.is(told, 2);
  unfollow();
  identity.asks()(header(1, "2"));
  t.is(told, 2);
});

test("answers that overtake each other say nothing", (t) => {
  const identity = createStoreIdentity();
  identity.onReplaced(() => t.fail());
  const slow = identity.asks();
  identity.asks()(header(30));
  slow(header(29));
  identity.asks()(header(30));
  t.pass();
});
