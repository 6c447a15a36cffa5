/** A TCP proxy on the loopback that misbehaves on demand: cuts, refuses, swallows, or holds back one direction. */
import { connect, createServer, type Socket } from "node:net";
import { systemClock } from "fleetcron-shared/base/clock";

export type Direction = "toServer" | "toClient";

export type FaultProxy = {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  readonly port: number;
  /** Destroys every connection and refuses new ones. */
  cut(): void;
  /** Destroys every connection; new ones are welcome. */
  drop(): void;
  /** Everything flows again; what was paused is delivered. */
  open(): void;
  /** Connections stay and new ones are accepted, but what is sent (in `direction`, or both) vanishes. */
  blackhole(direction?: Direction): void;
  /** What is sent in `direction` (or both) is held back until `open`. */
  pause(direction?: Direction): void;
  /** What is sent arrives so much later. */
  delay(ms: number): void;
  /** Called after each piece of data that was passed on. */
  onData: ((direction: Direction, bytes: number) => void) | undefined;
  readonly connections: number;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** A proxy to `127.0.0.1:targetPort`. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const pairs = new Set<{ client: Socket; server: Socket }>();
  const mode: Record<Direction, "open" | "blackhole" | "pause"> = { toServer: "open", toClient: "open" };
  let refusing = false;
  const held: (() => void)[] = [];
  let delayMs = 0;
  /** Until then what came before is under way: nothing overtakes it. */
  const busyUntil: Record<Direction, number> = { toServer: 0, toClient: 0 };

  function later(direction: Direction, pass: () => void): void {
    const now = systemClock.mono();
    busyUntil[direction] = Math.max(busyUntil[direction], now + delayMs);
    systemClock.after(busyUntil[direction] - now, pass);
  }

  function pump(from: Socket, to: Socket, direction: Direction): void {
    from.on("data", (data) => {
      if (mode[direction] === "blackhole") return;
      const pass = () => {
        if (to.destroyed) return;
        to.write(data);
        proxy.onData?.(direction, data.length);
      };
      if (mode[direction] === "pause") held.push(pass);
      else if (delayMs > 0 || busyUntil[direction] > systemClock.mono()) later(direction, pass);
      else pass();
    });
    from.on("error", () => to.destroy());
    from.on("end", () => to.end());
    from.on("close", () => to.destroy());
  }

  const listener = createServer((client) => {
    if (refusing) return void client.destroy();
    const pair = { client, server: connect(targetPort, "127.0.0.1") };
    client.setNoDelay(true);
    pair.server.setNoDelay(true);
    pairs.add(pair);
    client.once("close", () => pairs.delete(pair));
    pump(client, pair.server, "toServer");
    pump(pair.server, client, "toClient");
  });
  await new Promise<void>((resolve, reject) => listener.once("error", reject).listen(0, "127.0.0.1", resolve));
  const port = (listener.address() as { port: number }).port;

  function drop(): void {
    held.length = 0;
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
    pairs.clear();
  }

  function setMode(next: "blackhole" | "pause", direction: Direction | undefined): void {
    for (const each of ["toServer", "toClient"] as const) if (direction === undefined || direction === each) mode[each] = next;
  }

  async function close(): Promise<void> {
    drop();
    if (listener.listening) await new Promise((resolve) => listener.close(resolve));
  }

  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${port}`,
    port,
    cut() {
      refusing = true;
      drop();
    },
    drop,
    open() {
      refusing = false;
      mode.toServer = "open";
      mode.toClient = "open";
      for (const pass of held.splice(0)) pass();
    },
    blackhole: (direction) => setMode("blackhole", direction),
    pause: (direction) => setMode("pause", direction),
    delay(ms) {
      delayMs = ms;
    },
    onData: undefined,
    get connections() {
      return pairs.size;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
  return proxy;
}
