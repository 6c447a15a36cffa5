import test from "ava";
import { bottleneck } from "./bottleneck.ts";
import { parseMetrics } from "./etcd-facts.ts";

const usage = { cores: 2, singleThreaded: ["master"], else: "round trips" };

test("a busy single thread is named first, even when the machine is full", (t) => {
  t.is(bottleneck({ ...usage, cpu: { etcd: 0.9, master: 0.95 } }), "master: its one thread (0.95 of a core)");
});

test("a full machine is named with its parts, the greatest first", (t) => {
  t.is(bottleneck({ ...usage, cpu: { master: 0.5, etcd: 1.3 } }), "the cores of this machine (etcd 1.30, master 0.50)");
});

test("with CPU to spare it is what else is waited for", (t) => {
  t.is(bottleneck({ ...usage, cpu: { master: 0.5, etcd: 0.4 } }), "round trips");
});

test("metrics are summed over their series, and by gRPC method", (t) => {
  const found = parseMetrics(
    '# HELP a b\na 1\ncalls{grpc_method="Txn",x="1"} 2\ncalls{grpc_method="Txn",x="2"} 3\ncalls{grpc_method="Range"} 4\nbig 1.5e+03\n',
  );
  t.deepEqual([found.get("a"), found.get("calls"), found.get("calls:Txn"), found.get("big")], [1, 9, 5, 1500]);
});
