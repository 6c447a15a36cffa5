/**
 * A process of the BullMQ peer, copied into the folder where BullMQ is installed. `node bullmq-process.mjs worker|client PORT STAMP`, with an IPC
 * channel: the worker starts the stamping program for each job; the client adds jobs as its parent says. Each message is answered.
 */
import { spawn } from "node:child_process";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

const [role, port, stamp] = process.argv.slice(2);
const connection = new Redis({ host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null });
const CONCURRENCY = 64;
const DONE = { removeOnComplete: true, removeOnFail: true };

if (role === "worker") {
  const run = ({ data }) =>
    new Promise((resolve, reject) => {
      const child = spawn(stamp, [data.file, "bullmq"], { stdio: "ignore" });
      child.once("error", reject);
      child.once("exit", resolve);
    });
  const worker = new Worker("bench", run, { connection, concurrency: CONCURRENCY });
  worker.on("error", (error) => process.stderr.write(`${error.message}\n`));
  await worker.waitUntilReady();
  process.send({ ready: true });
} else {
  const queue = new Queue("bench", { connection, defaultJobOptions: DONE });
  const doing = {
    every: ({ file }) => queue.upsertJobScheduler("skew", { pattern: "* * * * * *" }, { name: "run", data: { file }, opts: DONE }),
    never: () => queue.removeJobScheduler("skew"),
    order: ({ file }) => queue.add("run", { file }),
    due: ({ file, count, dueMs }) => {
      const job = () => ({ name: "run", data: { file }, opts: { ...DONE, delay: dueMs - Date.now() } });
      return queue.addBulk(Array.from({ length: count }, job));
    },
    hold: async ({ count, file }) => {
      const template = { name: "run", data: { file }, opts: DONE };
      for (let at = 0; at < count; at += 100) {
        const some = Array.from({ length: Math.min(100, count - at) }, (_, i) => `held-${at + i}`);
        await Promise.all(some.map((id) => queue.upsertJobScheduler(id, { pattern: "0 0 1 1 *" }, template)));
      }
    },
  };
  process.on("message", async (message) => {
    try {
      const sentMs = performance.timeOrigin + performance.now();
      await doing[message.what](message);
      process.send({ sentMs });
    } catch (error) {
      process.send({ error: String(error) });
    }
  });
  await queue.waitUntilReady();
  process.send({ ready: true });
}
process.once("disconnect", () => process.exit(0));
