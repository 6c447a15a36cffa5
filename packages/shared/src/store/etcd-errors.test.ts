import test from "ava";
import { classifyEtcdError, toAppError } from "./etcd-errors.ts";

const codeOf = (text: string) => toAppError(classifyEtcdError(new Error(text), "http://etcd:2379"), "write").code;

/** As @grpc/grpc-js puts them together (getDeadlineInfo). */
test("a write that was sent may have happened, whatever it had waited for before", (t) => {
  for (const info of [
    "remote_addr=127.0.0.1:2379",
    "name resolution: 0.001s,remote_addr=127.0.0.1:2379",
    "metadata filters: 0.001s,remote_addr=127.0.0.1:2379",
    "name resolution: 0.001s,metadata filters: 0.001s,time to current attempt start: 0.002s,LB pick: 0.001s,remote_addr=127.0.0.1:2379",
    "previous attempts: 1,time to current attempt start: 0.500s,Waiting for LB pick",
  ])
    t.is(codeOf(`4 DEADLINE_EXCEEDED: Deadline exceeded after 2.005s,${info}`), "etcd/unknown-outcome", info);
  t.is(codeOf("4 DEADLINE_EXCEEDED: context deadline exceeded"), "etcd/unknown-outcome");
  t.is(codeOf("14 UNAVAILABLE: Connection dropped"), "etcd/unknown-outcome");
});

test("one that was never sent did not", (t) => {
  for (const info of ["waiting for name resolution", "waiting for metadata filters", "name resolution: 0.001s,Waiting for LB pick"])
    t.is(codeOf(`4 DEADLINE_EXCEEDED: Deadline exceeded after 2.003s,${info}`), "etcd/unreachable", info);
  t.is(codeOf("14 UNAVAILABLE: Channel closed before call started"), "etcd/unreachable");
  t.is(codeOf("14 UNAVAILABLE: No connection established. Last error: Failed to connect. Resolution note: "), "etcd/unreachable");
});
