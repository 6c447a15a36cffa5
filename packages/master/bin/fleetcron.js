#!/usr/bin/env node
// Starts Fleetcron's command line on a Node.js that can run it: the one that runs this file or, when that is too old, the one that npm
// installed beside this package. From source it runs src/main.ts, from a published package src/main.js. Plain JavaScript for old Nodes.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NEEDED = 24;

if (Number(process.versions.node.split(".")[0]) >= NEEDED) {
  const source = new URL("../src/main.ts", import.meta.url);
  const main = existsSync(source) ? source : new URL("../src/main.js", import.meta.url);
  await import(main.href);
} else {
  const node = pinnedNode();
  if (node === undefined) tooOld();
  else runOn(node);
}

/** The newer Node.js beside this package, if there is one. */
function pinnedNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`);
    const node = join(dirname(manifest), "bin", "node");
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}

/** Runs this file again on `node` and ends as it ends. A terminal sends Ctrl-C to both; other signals are passed on. */
function runOn(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR2", "SIGINT"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`error: ${node} cannot be run: ${error.message}\n`);
    process.exitCode = 2;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function tooOld() {
  process.stderr.write(
    `error: fleetcron needs Node.js ${NEEDED} or newer; found ${process.versions.node} at ${process.execPath}\n` +
      `  to do: install Node.js ${NEEDED}, or the npm package node-${process.platform}-${process.arch} beside this one\n`,
  );
  process.exitCode = 2;
}
