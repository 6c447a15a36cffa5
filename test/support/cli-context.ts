/** A context for tests of what commands print: a fixed clock, captured output, no terminal. */
import { type Context, createPaint, type GlobalOptions } from "../../packages/master/src/cli/context.ts";
import type { Io } from "../../packages/master/src/cli/io.ts";

export type TestContext = { readonly context: Context; out(): string; err(): string; exit(): number };

export function testContext(options: {
  now: string;
  terminal?: boolean;
  global?: Partial<GlobalOptions>;
  env?: Record<string, string>;
}): TestContext {
  const written = { out: "", err: "", exit: 0 };
  const io: Io = {
    env: options.env ?? {},
    cwd: "/",
    home: "/",
    timezone: "UTC",
    version: "0.0.0",
    nodeVersion: "24.0.0",
    nodePath: "node",
    stdin: (async function* () {})(),
    out: (text) => {
      written.out += text;
    },
    outBytes: async (bytes) => {
      written.out += Buffer.from(bytes).toString("latin1");
    },
    err: (text) => {
      written.err += text;
    },
    outIsTerminal: options.terminal === true,
    errIsTerminal: options.terminal === true,
    onSignal: () => () => {},
  };
  const global: GlobalOptions = { color: true, ...options.global };
  const context: Context = {
    io,
    clock: {
      now: () => Date.parse(options.now),
      mono: () => 0,
      after: () => () => {},
      turn: () => () => {},
      sleep: () => Promise.resolve(),
    },
    random: { next: () => 0.5, bytes: (count) => new Uint8Array(count) },
    options: () => global,
    api: () => Promise.reject(new Error("this test has no master")),
    paint: createPaint(io, () => global.color),
    exitWith: (code) => {
      written.exit = code;
    },
  };
  return { context, out: () => written.out, err: () => written.err, exit: () => written.exit };
}
