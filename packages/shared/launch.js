// Starts a program on a Node.js that can run it: the one that runs this file or, when that is too old, the one that npm installed beside the
// program's package. From source it runs src/main.ts, from a published package src/main.js. Plain JavaScript, because old Nodes read it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NEEDED = 24;

/**
 * `bin`: the URL of the file in the package's bin folder that calls this.
 * @param {string} name
 * @param {string} bin
 */
export async function launch(name, bin) {
  if (Number(process.versions.node.split(".")[0]) >= NEEDED) {
    const source = new URL("../src/main.ts", bin);
    const main = existsSync(source) ? source : new URL("../src/main.js", bin);
    await import(main.href);
    return;
  }
  const node = pinnedNode(bin);
  if (node === undefined) tooOld(name);
  else runOn(node, fileURLToPath(bin));
}

/** The newer Node.js beside the package, if there is one. */
function pinnedNode(bin) {
  try {
    const manifest = createRequire(bin).resolve(`node-${process.platform}-${process.arch}/package.json`);
    const node = join(dirname(manifest), "bin", "node");
    return existsSync(node) ? node : undefined;
  } catch {
    return undefined;
  }
}

/** Runs the program again on `node` and ends as it ends. A terminal sends Ctrl-C to both; other signals are passed on. */
function runOn(node, file) {
  const child = spawn(node, [file, ...process.argv.slice(2)], { stdio: "inherit" });
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

function tooOld(name) {
  process.stderr.write(
    `error: ${name} needs Node.js ${NEEDED} or newer; found ${process.versions.node} at ${process.execPath}\n` +
      `  to do: install Node.js ${NEEDED}, or the npm package node-${process.platform}-${process.arch} beside this one\n`,
  );
  process.exitCode = 2;
}
