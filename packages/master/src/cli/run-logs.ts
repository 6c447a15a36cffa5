/**
 * `fleetcron run logs`: the output of an execution, exact where standard output is a file or a pipe; on a terminal its colours stay and what else a terminal
 * would obey is shown (all of it passes with --raw). What is missing is told on standard error. Following survives masters and agents that restart.
 */
import { AppError, asAppError } from "fleetcron-shared/base/errors";
import type { ApiClient } from "../client/api.ts";
import { parseId } from "./arguments.ts";
import type { Context } from "./context.ts";
import { humanBytes, plainOutput } from "./human.ts";

export type LogOptions = {
  readonly follow?: boolean;
  readonly head?: number;
  readonly tail?: number;
  readonly attempt?: number;
  readonly from?: number;
  readonly find?: string;
  readonly raw?: boolean;
};

/** A master that is restarted is back within this time. */
const PATIENCE_MS = 60_000;
const RETRY_MS = 500;

export async function showLogs(context: Context, id: string, asked: LogOptions): Promise<void> {
  const execution = parseId(id, "an execution");
  const clash =
    asked.tail !== undefined && asked.from !== undefined
      ? "--tail and --from"
      : asked.tail !== undefined && asked.find !== undefined
        ? "--tail and --find"
        : asked.tail !== undefined && asked.head !== undefined
          ? "--tail and --head"
          : asked.follow === true && asked.head !== undefined
            ? "--follow and --head"
            : undefined;
  if (clash !== undefined) throw new AppError("input/usage", `${clash} exclude each other`);
  const api = await context.api();
  const options = asked.find === undefined ? asked : await findIn(api, execution, { ...asked, find: asked.find });
  const print = createPrinter(context, options.raw === true);
  if (options.follow === true) await follow(context, api, execution, options, print);
  else await printParts(context, api, execution, options, print);
  print.end();
}

/** The options with the place of the line. */
async function findIn(api: ApiClient, execution: string, options: LogOptions & { readonly find: string }): Promise<LogOptions> {
  const { find, from = 0, attempt } = options;
  if (find === "" || find.length > 1000) throw new AppError("input/usage", "--find takes a text of 1 to 1000 characters");
  const found = await api.searchLog(execution, { text: find, from, ...(attempt === undefined ? {} : { attempt }) });
  if (found.offset === null) {
    const where = from === 0 ? "" : ` from byte ${from} on`;
    throw new AppError("log/no-such-line", `no line of the log of execution ${execution}${where} holds ${JSON.stringify(find)}`, {
      hint: `${humanBytes(found.size)} were searched, of attempt ${found.attempt}; --attempt names another one`,
    });
  }
  return { ...options, attempt: found.attempt, from: found.offset };
}

/** Part by part up to what was written when it began. */
async function printParts(context: Context, api: ApiClient, execution: string, options: LogOptions, print: Printer): Promise<void> {
  const { attempt, from, tail } = options;
  let query = {
    ...(attempt === undefined ? {} : { attempt }),
    ...(from === undefined ? {} : { from }),
    ...(tail === undefined ? {} : { tail }),
  };
  let linesLeft = options.head;
  let end: number | undefined;
  for (;;) {
    const part = await api.log(execution, linesLeft === undefined ? query : { ...query, head: linesLeft });
    if (part.skipped > 0) tellSkipped(context, part.skipped, "cut");
    await print.bytes(part.bytes);
    end ??= part.size;
    if (linesLeft !== undefined) linesLeft -= part.bytes.filter((byte) => byte === 10).length;
    if (part.next >= end || part.next <= (query.from ?? -1) || linesLeft === 0) return;
    query = { attempt: part.attempt, from: part.next };
  }
}

async function follow(context: Context, api: ApiClient, execution: string, options: LogOptions, print: Printer): Promise<void> {
  const { clock } = context;
  const { attempt, from, tail } = options;
  const query = {
    ...(attempt === undefined ? {} : { attempt }),
    ...(from === undefined ? {} : { from }),
    ...(tail === undefined ? {} : { tail }),
  };
  let lastId: string | undefined;
  let hasBegun = false;
  let failingSince: number | undefined;
  for (;;) {
    try {
      for await (const event of api.followLog(
        execution,
        lastId === undefined ? query : { ...(attempt === undefined ? {} : { attempt }) },
        lastId,
        new AbortController().signal,
      )) {
        hasBegun = true;
        failingSince = undefined;
        lastId = event.id ?? lastId;
        if (event.type === "skipped") tellSkipped(context, event.skipped ?? 0, event.why ?? "cut");
        if (event.type === "log") await print.bytes(event.bytes);
        if (event.type === "end") return;
      }
    } catch (thrown) {
      if (!hasBegun || !asAppError(thrown).row.retry) throw thrown;
      if (failingSince === undefined && context.io.errIsTerminal)
        context.io.err(`${context.paint("dim", "… the connection broke; trying again …")}\n`);
      failingSince ??= clock.mono();
      if (clock.mono() - failingSince > PATIENCE_MS) throw thrown;
      await clock.sleep(RETRY_MS);
    }
  }
}

function tellSkipped(context: Context, bytes: number, why: "cut" | "fast"): void {
  const text = why === "cut" ? "were cut out of the log" : "came too fast and are skipped (`run logs` without -f has them)";
  context.io.err(`… ${humanBytes(bytes)} ${text} …\n`);
}

type Printer = { bytes(bytes: Buffer): Promise<void>; end(): void };

function createPrinter({ io, options }: Pick<Context, "io" | "options">, raw: boolean): Printer {
  if (raw || !io.outIsTerminal) return { bytes: (bytes) => io.outBytes(bytes), end() {} };
  const decoder = new TextDecoder();
  const colours = options().color && (io.env.NO_COLOR ?? "") === "";
  let atLineStart = true;
  /** A colour or a line end (\r\n) may be split between two pieces. */
  let held = "";
  const print = (text: string) => {
    if (text === "") return;
    atLineStart = text.endsWith("\n");
    const shown = plainOutput(text.replaceAll("\r\n", "\n"));
    io.out(colours ? shown : shown.replace(COLOUR, ""));
  };
  return {
    async bytes(bytes) {
      const text = held + decoder.decode(bytes, { stream: true });
      held = UNFINISHED.exec(text)?.[0] ?? "";
      print(text.slice(0, text.length - held.length));
    },
    end() {
      print(held + decoder.decode());
      if (colours) io.out("\x1b[0m");
      // The prompt begins on a line of its own.
      if (!atLineStart) io.out("\n");
    },
  };
}

const ESCAPE = String.fromCharCode(27);
const COLOUR = new RegExp(`${ESCAPE}\\[[0-9;]*m`, "g");
const UNFINISHED = new RegExp(`(?:\\r|${ESCAPE}(?:\\[[0-9;]{0,30})?)$`);
