/**
 * The store port on a real etcd; the only importer of etcd3, of which only the raw calls and raw streams are used: its own watcher, lease and
 * retries lose events, believe too long and repeat writes. Every call has a deadline and goes to the current endpoint; what was certainly
 * not executed (and every read) is tried on the others within that deadline. When etcd is away, calls fail with coded errors and watches end.
 */
import { type CallContext, Etcd3, type IOptions } from "etcd3";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { createEndpoints, type Endpoint } from "./etcd-endpoints.ts";
import { classifyEtcdError, type EtcdFailure, toAppError } from "./etcd-errors.ts";
import { type EtcdOptions, normalizeEndpoint, readCredentials, type TlsCredentials } from "./etcd-options.ts";
import { runWatch, type WatchStream } from "./etcd-watch.ts";
import { fromCompare, fromOp, fromRangeQuery, toKeyValue, toOpResult } from "./etcd-wire.ts";
import type { Kv, WatchEnd, WatchHandlers } from "./kv.ts";
import { createStoreIdentity } from "./store-identity.ts";

type CallOptions = NonNullable<Parameters<Etcd3["kv"]["range"]>[1]>;

const CALL_TIMEOUT_MS = 2000;
/** While no member has a leader: ask again after. */
const NO_LEADER_PAUSE_MS = 50;

export function openEtcdKv(options: EtcdOptions, deps: { clock: Clock }): Kv {
  const { clock } = deps;
  const timeoutMs = options.callTimeoutMs ?? CALL_TIMEOUT_MS;
  const credentials = readCredentials(options);
  const addresses = [...new Set(options.endpoints.map((endpoint) => normalizeEndpoint(endpoint, options.tls !== undefined)))];
  if (addresses.length === 0) throw new AppError("config/invalid", "no etcd endpoint is configured");
  const endpoints = createEndpoints<Etcd3>(
    { clock },
    {
      addresses,
      lingerMs: timeoutMs,
      close: (client) => client.close(),
      open: (address, generation) => openClient(address, generation, options, credentials, clock),
    },
  );
  const closing = new AbortController();
  const identity = createStoreIdentity();
  const probing = new Set<Endpoint<Etcd3>>();
  const closedError = () => new AppError("etcd/closed", "the connection to etcd was closed");

  function report(endpoint: Endpoint<Etcd3>, failure: EtcdFailure): void {
    if (failure.kind === "final") return;
    endpoints.failed(endpoint, false);
    if (failure.kind === "timed-out") void probe(endpoint);
  }

  /**
   * One late answer does not prove that a connection is dead: etcd, or this very process, may only be busy, and giving up every watch to list all
   * again would make both busier still. So a small question follows, which only a member that is up to date answers; without an answer the connection is given up.
   */
  async function probe(endpoint: Endpoint<Etcd3>): Promise<void> {
    if (probing.has(endpoint)) return;
    probing.add(endpoint);
    try {
      await endpoint.client.kv.range({ key: Buffer.from("\0"), count_only: true }, { deadline: clock.now() + timeoutMs / 2 });
    } catch (error) {
      if (!closing.signal.aborted && classifyEtcdError(error, endpoint.address).kind !== "final") endpoints.failed(endpoint, true);
    } finally {
      probing.delete(endpoint);
    }
  }

  /** Runs one call, on as many members as its deadline and its nature allow. */
  async function call<T>(kind: "read" | "write", run: (client: Etcd3, callOptions: CallOptions) => Promise<T>): Promise<T> {
    const until = clock.mono() + timeoutMs;
    const attemptMs = kind === "read" && endpoints.size > 1 ? timeoutMs / 2 : timeoutMs;
    for (let unconnected = 0; ; ) {
      if (closing.signal.aborted) throw closedError();
      const endpoint = endpoints.current();
      try {
        return await run(endpoint.client, {
          deadline: clock.now() + Math.min(attemptMs, until - clock.mono()),
          interceptors: [requireLeader],
        });
      } catch (error) {
        if (closing.signal.aborted) throw closedError();
        const failure = classifyEtcdError(error, endpoint.address);
        report(endpoint, failure);
        unconnected = failure.kind === "unconnected" ? unconnected + 1 : 0;
        const again =
          failure.kind !== "final" &&
          (kind === "read" || failure.executed === "no") &&
          (failure.kind === "no-leader" || endpoints.size > 1);
        if (!again || unconnected >= endpoints.size || until - clock.mono() <= NO_LEADER_PAUSE_MS) throw toAppError(failure, kind);
        if (failure.kind === "no-leader") await clock.sleep(NO_LEADER_PAUSE_MS, closing.signal);
      }
    }
  }

  /** The same, of what a majority answers. */
  async function ask<T extends { header: { revision: string; cluster_id: string } }>(...what: Parameters<typeof call<T>>): Promise<T> {
    const answered = identity.asks();
    const answer = await call(...what);
    answered({ revision: Number(answer.header.revision), clusterId: answer.header.cluster_id });
    return answer;
  }

  function watch(query: Parameters<Kv["watch"]>[0], handlers: WatchHandlers): () => void {
    if (closing.signal.aborted) {
      queueMicrotask(() => handlers.onEnd({ reason: "closed" }));
      return () => {};
    }
    let over = false;
    let cancelStream: (end: WatchEnd) => void = () => {};
    const endpoint = endpoints.current();
    const giveUp = () => settle({ reason: closing.signal.aborted ? "closed" : "error", error: new Error("the connection was given up") });
    const cancelTimer = clock.after(timeoutMs, () => fail(new Error("4 DEADLINE_EXCEEDED: the watch was not accepted in time")));
    endpoint.streams.add(giveUp);

    function settle(end: WatchEnd): void {
      if (over) return;
      over = true;
      cancelTimer();
      endpoint.streams.delete(giveUp);
      cancelStream(end);
      handlers.onEnd(end);
    }

    function fail(error: unknown): void {
      if (over) return;
      const failure = classifyEtcdError(error, endpoint.address);
      settle({ reason: "error", error: toAppError(failure, "read") });
      report(endpoint, failure);
    }

    function attach(stream: WatchStream): void {
      stream.on("error", fail);
      if (over) {
        stream.cancel();
        return;
      }
      cancelStream = runWatch(stream, query, {
        ...handlers,
        onStarted() {
          cancelTimer();
          handlers.onStarted?.();
        },
        onEvents(events, revision) {
          identity.saw(revision);
          handlers.onEvents(events, revision);
        },
        onEnd: settle,
      });
    }

    endpoint.client.watchClient.watch({ interceptors: [requireLeader] }).then((stream) => attach(stream as unknown as WatchStream), fail);
    return () => settle({ reason: "closed" });
  }

  return {
    async get(key) {
      const { kvs } = await ask("read", (client, callOptions) => client.kv.range({ key: Buffer.from(key) }, callOptions));
      return kvs[0] && toKeyValue(kvs[0]);
    },
    async range(query) {
      const answer = await ask("read", (client, callOptions) => client.kv.range(fromRangeQuery(query), callOptions));
      const { revision, cluster_id: clusterId } = answer.header;
      return {
        kvs: answer.kvs.map(toKeyValue),
        revision: query.revision ?? Number(revision),
        more: answer.more,
        count: Number(answer.count),
        clusterId,
      };
    },
    async txn(txn) {
      const request = { compare: (txn.if ?? []).map(fromCompare), success: txn.then.map(fromOp), failure: (txn.else ?? []).map(fromOp) };
      const onlyReads = [...txn.then, ...(txn.else ?? [])].every((op) => op.op === "get");
      const answer = await ask(onlyReads ? "read" : "write", (client, callOptions) => client.kv.txn(request, callOptions));
      const ops = answer.succeeded ? txn.then : (txn.else ?? []);
      const results = ops.map((op, i) => toOpResult(op, answer.responses[i]));
      return { succeeded: answer.succeeded, revision: Number(answer.header.revision), results };
    },
    watch,
    async grantLease(ttlMs) {
      const answer = await call("write", (client, callOptions) =>
        client.leaseClient.leaseGrant({ TTL: Math.max(1, Math.ceil(ttlMs / 1000)) }, callOptions),
      );
      return { lease: answer.ID, ttlMs: Number(answer.TTL) * 1000 };
    },
    async keepAlive(lease) {
      const ttl = await call("read", (client, callOptions) => keepAliveOnce(client, lease, callOptions));
      if (ttl <= 0) throw new AppError("etcd/lease-gone", `the lease ${lease} does not exist any more: it has expired or was revoked`);
      return { ttlMs: ttl * 1000 };
    },
    async revokeLease(lease) {
      await call("write", (client, callOptions) => client.leaseClient.leaseRevoke({ ID: lease }, callOptions)).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code !== "etcd/lease-gone") throw error;
      });
    },
    onReplaced: identity.onReplaced,
    async close() {
      closing.abort();
      endpoints.close();
    },
  };
}

/** One keep-alive on a stream of its own; resolves with the renewed TTL in seconds, 0 when the lease is gone. */
async function keepAliveOnce(client: Etcd3, lease: string, callOptions: CallOptions): Promise<number> {
  const stream = await client.leaseClient.leaseKeepAlive(callOptions);
  try {
    return await new Promise((resolve, reject) => {
      stream.on("data", (answer) => resolve(Number(answer.TTL)));
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("14 UNAVAILABLE: etcd ended the keep-alive stream")));
      stream.write({ ID: lease });
    });
  } finally {
    stream.end();
  }
}

/** Makes a member that has lost its leader refuse at once (and end streams) instead of waiting. */
const requireLeader: NonNullable<CallOptions["interceptors"]>[number] = (callOptions, nextCall) => {
  const next = nextCall(callOptions);
  const start = next.start.bind(next);
  next.start = (metadata, listener) => {
    metadata.set("hasleader", "true");
    start(metadata, listener);
  };
  return next as unknown as ReturnType<NonNullable<CallOptions["interceptors"]>[number]>;
};

type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

const NEVER = { signal: new AbortController().signal };

/** Runs the call once, and nothing else: etcd3's retries are blind and its circuit breaker invents failures. */
const noPolicy = { execute: async (run: (context: object) => unknown) => run(NEVER) } as unknown as Policy;

function openClient(
  address: string,
  generation: number,
  options: EtcdOptions,
  credentials: TlsCredentials | undefined,
  clock: Clock,
): Etcd3 {
  const { user, password } = options;
  const deadline = () => ({ deadline: clock.now() + (options.callTimeoutMs ?? CALL_TIMEOUT_MS) });
  return new Etcd3({
    hosts: [address],
    ...(credentials === undefined ? {} : { credentials }),
    ...(user === undefined ? {} : { auth: { username: user, password: password ?? "" } }),
    faultHandling: { host: () => noPolicy, global: noPolicy },
    defaultCallOptions: (context: CallContext) => (context.isStream ? {} : deadline()),
    grpcOptions: {
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 3_000,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1000,
      "grpc.max_receive_message_length": -1,
      // Clients with equal options share one connection; ours must not share a broken one with its successor.
      "grpc.primary_user_agent": [
        "fleetcron",
        process.pid,
        generation,
        ...(options.connection === undefined ? [] : [options.connection]),
      ].join("-"),
    },
  });
}
