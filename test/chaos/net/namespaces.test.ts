/** Cuts between hosts are real, one way and both, and healed: asked of TCP itself. */
import { spawn } from "node:child_process";
import test from "ava";
import { systemClock } from "fleetcron-shared/base/clock";
import { openNamespaces, whyNoNamespaces } from "./namespaces.ts";

const LISTEN = `require("node:net").createServer((socket) => socket.end("hello")).listen(7000, "0.0.0.0", () => console.log("ready"))`;
const ask = (address: string) =>
  `const socket = require("node:net").connect(7000, "${address}"); socket.on("data", () => process.exit(0)); socket.on("error", () => process.exit(1)); setTimeout(() => process.exit(2), 800)`;

test("what is cut does not arrive, and nothing else", async (t) => {
  t.timeout(60_000);
  const why = whyNoNamespaces();
  if (why !== undefined) {
    t.log(`not checked: ${why}`);
    t.pass();
    return;
  }
  await using net = openNamespaces(["x1", "x2", "x3"]);
  const inside = (host: string, script: string) => {
    const [file = "", ...args] = [...net.wrapper(host), process.execPath, "-e", script];
    return spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
  };
  const servers = ["x1", "x2"].map((host) => inside(host, LISTEN));
  try {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.stdout.once("data", resolve))));
    const reaches = (from: string, to: string) =>
      new Promise<boolean>((resolve) => inside(from, ask(net.address(to))).once("exit", (code) => resolve(code === 0)));
    const all = async () => [await reaches("x1", "x2"), await reaches("x2", "x1"), await reaches("x3", "x1")];
    t.deepEqual(await all(), [true, true, true]);
    await net.cut([["x1", "x2"]]);
    // A connection needs both ways.
    t.deepEqual(await all(), [false, false, true]);
    await net.mend([["x1", "x2"]]);
    t.deepEqual(await all(), [true, true, true]);
    await net.cut([
      ["x1", "x2"],
      ["x2", "x1"],
      ["x3", "x1"],
    ]);
    t.deepEqual(await all(), [false, false, false]);
    await net.mend([
      ["x1", "x2"],
      ["x2", "x1"],
      ["x3", "x1"],
    ]);
    t.deepEqual(await all(), [true, true, true]);
    await net.slow("x1", { delayMs: 100, lossPercent: 99 });
    t.deepEqual(await all(), [false, false, false], "nearly all is lost");
    await net.slow("x1", undefined);
    await systemClock.sleep(100);
    t.deepEqual(await all(), [true, true, true]);
  } finally {
    for (const server of servers) server.kill("SIGKILL");
  }
});
