import { EventEmitter } from "node:events";
import test from "ava";
import { createManualClock } from "fleetcron-shared/base/manual-clock";
import type { SshChannel, SshConnection } from "fleetcron-shared/ssh/connect";
import { channelRefused, SshError, unreachable } from "fleetcron-shared/ssh/failure";
import { openPool, type Place } from "./pool.ts";

/** A server that takes so many sessions on each connection; `end(n)` ends the n-th session. */
function fakeHost(limit: number, maxConnections = 100) {
  const channels: EventEmitter[] = [];
  const closers: (() => void)[] = [];
  const place: Place = {
    key: "host",
    async connect(): Promise<SshConnection> {
      if (closers.length >= maxConnections) throw unreachable("closed", "too many connections");
      let used = 0;
      const gone = Promise.withResolvers<string>();
      const connection = {
        name: "host",
        isOpen: true,
        closed: gone.promise,
        async exec() {
          if (used >= limit) throw channelRefused("host", "open failed");
          used++;
          const channel = Object.assign(new EventEmitter(), { close: () => {} });
          channel.once("close", () => used--);
          channels.push(channel);
          return channel as unknown as SshChannel;
        },
        close() {
          connection.isOpen = false;
          gone.resolve("closed");
        },
      };
      closers.push(() => connection.close());
      return connection;
    },
  };
  return {
    place,
    connections: () => closers.length,
    sessions: () => channels.length,
    end: (index: number) => channels[index]?.emit("close"),
    cut: (index: number) => closers[index]?.(),
  };
}

const { signal } = new AbortController();

test("one connection carries many sessions; beyond the server's limit there are more", async (t) => {
  const clock = createManualClock();
  const host = fakeHost(2);
  const pool = openPool({ clock });
  await Promise.all([1, 2].map(() => pool.open(host.place, "x", { signal })));
  t.is(host.connections(), 1);
  await Promise.all([1, 2, 3].map(() => pool.open(host.place, "x", { signal })));
  t.is(host.connections(), 3);
  host.end(0);
  await pool.open(host.place, "x", { signal });
  t.is(host.connections(), 3, "a free place is used again");
});

test("where the server takes no further connection, a session waits for another's end", async (t) => {
  const clock = createManualClock();
  const host = fakeHost(1, 1);
  const pool = openPool({ clock });
  await pool.open(host.place, "x", { signal });
  let isOpen = false;
  const second = pool.open(host.place, "x", { signal }).then(() => {
    isOpen = true;
  });
  await clock.advance(10_000);
  t.false(isOpen);
  host.end(0);
  await second;
  t.is(host.sessions(), 2);
});

test("a host that cannot be reached is an error for all who wait, after one try", async (t) => {
  const clock = createManualClock();
  const host = fakeHost(1, 0);
  const pool = openPool({ clock });
  const all = await Promise.allSettled([1, 2, 3].map(() => pool.open(host.place, "x", { signal })));
  t.true(all.every(({ status }) => status === "rejected"));
});

test("an idle connection is closed after a minute, a busy one is not", async (t) => {
  const clock = createManualClock();
  const host = fakeHost(5);
  const pool = openPool({ clock });
  await pool.open(host.place, "x", { signal });
  await clock.advance(300_000);
  await pool.open(host.place, "x", { signal });
  t.is(host.connections(), 1);
  host.end(0);
  host.end(1);
  await clock.advance(59_000);
  await pool.open(host.place, "x", { signal });
  t.is(host.connections(), 1);
  host.end(2);
  await clock.advance(61_000);
  await pool.open(host.place, "x", { signal });
  t.is(host.connections(), 2);
});

test("a connection that was cut is replaced; whoever gave up gets an answer", async (t) => {
  const clock = createManualClock();
  const host = fakeHost(1);
  const pool = openPool({ clock });
  await pool.open(host.place, "x", { signal });
  host.cut(0);
  await pool.open(host.place, "x", { signal });
  t.is(host.connections(), 2);
  const giveUp = new AbortController();
  giveUp.abort();
  const error = await t.throwsAsync(pool.open(host.place, "x", { signal: giveUp.signal }), { instanceOf: SshError });
  t.is(error?.failure.type, "unreachable");
});
