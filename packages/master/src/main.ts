/** `fleetcron`: reads the command line, runs the command, and says what went wrong in words with the right exit code. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isatty } from "node:tty";
import { CommanderError } from "commander";
import { systemClock } from "fleetcron-shared/base/clock";
import { systemRandom } from "fleetcron-shared/base/random";
import { type Context, createPaint } from "./cli/context.ts";
import { renderError } from "./cli/errors.ts";
import type { Io } from "./cli/io.ts";
import { createProgram, globalOptions, usageError } from "./cli/program.ts";

const args = process.argv.slice(2);
const io: Io = {
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  get timezone() {
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    return timeZone === "Etc/Unknown" ? undefined : timeZone;
  },
  version: readVersion(),
  nodeVersion: process.versions.node,
  nodePath: process.execPath,
  get stdin() {
    return process.stdin;
  },
  ...(isatty(0)
    ? {
        hiddenLine: async (question: string) =>
          (await import("./cli/hidden-line.ts")).readHiddenLine(process.stdin, (text) => process.stderr.write(text), question),
        line: async (question: string) => (await import("./cli/shown-line.ts")).readShownLine(process.stdin, process.stderr, question),
      }
    : {}),
  out: (text) => void process.stdout.write(text),
  outBytes: (bytes) => new Promise((resolve) => process.stdout.write(bytes, () => resolve())),
  err: (text) => void process.stderr.write(text),
  outIsTerminal: process.stdout.isTTY === true,
  errIsTerminal: process.stderr.isTTY === true,
  onSignal(signals, fn) {
    for (const signal of signals) process.on(signal, fn);
    return () => {
      for (const signal of signals) process.off(signal, fn);
    };
  },
};

// A reader that has seen enough (`fleetcron job ls | head -1`) is no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
}
process.exitCode = await main();

async function main(): Promise<number> {
  let exit = 0;
  const context: Context = {
    io,
    clock: systemClock,
    random: systemRandom,
    options: () => globalOptions(program),
    paint: createPaint(io, () => globalOptions(program).color),
    exitWith: (code) => {
      exit = code;
    },
    async api() {
      const [{ resolveSettings }, { createRest }, { createApiClient }] = await Promise.all([
        import("./cli/settings.ts"),
        import("./client/rest.ts"),
        import("./client/api.ts"),
      ]);
      const options = globalOptions(program);
      const settings = await resolveSettings(io, options);
      if (settings.server.startsWith("https:")) (await import("./cli/trust.ts")).trust(io, options);
      return createApiClient(createRest({ clock: systemClock, fetch }, settings));
    },
  };
  const program = createProgram(context);
  try {
    await program.parseAsync(args, { from: "user" });
    return exit;
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageError(thrown, program, args) : thrown;
    if (error === undefined) return exit;
    const rendered = renderError(error, args.includes("--debug"));
    io.err(rendered.text);
    return rendered.exit;
  }
}

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}
