/** Output of 100 MB through the ssh runner beside the OpenSSH client's, and how long a short command takes. By itself: `node test/bench/ssh.ts`. Needs sshd. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "fleetcron-shared/base/clock";
import { openRunner, runSsh } from "../support/ssh-session.ts";
import { type SshBench, type Sshd, sshBench } from "../support/sshd.ts";

const MEGABYTES = 100;

export type SshFigures = {
  /** MB/s */
  readonly ours: number;
  readonly openSsh: number;
  /** From start to end of `true` on a connection that is there, in ms. */
  readonly shortMs: number;
  readonly openSshShortMs: number;
};

/** The best of `rounds` for the throughput, the median for the short command. */
export async function measureSsh(rounds = 3): Promise<SshFigures> {
  await using bench = sshBench();
  const sshd = await bench.start();
  await using runner = openRunner(bench);
  const file = join(bench.folder, "blob");
  writeFileSync(file, Buffer.alloc(MEGABYTES * 2 ** 20, "0123456789abcdef\n"));
  const rates: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round++) {
    let bytes = 0;
    const write = async (chunk: Uint8Array) => {
      bytes += chunk.length;
    };
    const ours = await timed(() => runSsh(bench, runner, { hosts: [sshd.target], argv: ["cat", file] }, { deps: { write } }));
    if (bytes !== MEGABYTES * 2 ** 20) throw new Error(`${bytes} bytes came`);
    rates.ours.push(MEGABYTES / (ours / 1000));
    rates.theirs.push(MEGABYTES / ((await timed(() => openSsh(bench, sshd, `cat ${file}`))) / 1000));
  }
  const short: number[] = [];
  const openSshShort: number[] = [];
  for (let round = 0; round < rounds * 5; round++) {
    short.push(await timed(() => runSsh(bench, runner, { hosts: [sshd.target], script: "true" })));
    openSshShort.push(await timed(() => openSsh(bench, sshd, "true")));
  }
  return {
    ours: Math.max(...rates.ours),
    openSsh: Math.max(...rates.theirs),
    shortMs: median(short),
    openSshShortMs: median(openSshShort),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = systemClock.mono();
  await work();
  return systemClock.mono() - begin;
}

async function openSsh(bench: SshBench, sshd: Sshd, command: string): Promise<void> {
  const options = [
    "-F",
    "none",
    "-i",
    bench.key,
    "-o",
    `UserKnownHostsFile=${bench.knownHosts}`,
    "-o",
    "BatchMode=yes",
    "-p",
    String(sshd.port),
  ];
  const child = spawn("ssh", [...options, sshd.address, command], { stdio: ["ignore", "pipe", "inherit"] });
  child.stdout.resume();
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`ssh ended with ${code}`);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

if (import.meta.main) {
  const { ours, openSsh: theirs, shortMs, openSshShortMs } = await measureSsh();
  console.log(
    `${MEGABYTES} MB of output: ${ours.toFixed(0)} MB/s, OpenSSH's client ${theirs.toFixed(0)} MB/s, ratio ${(ours / theirs).toFixed(2)}`,
  );
  console.log(
    `a short command: ${shortMs.toFixed(0)} ms on a connection that is there, OpenSSH's client with its own ${openSshShortMs.toFixed(0)} ms`,
  );
}
