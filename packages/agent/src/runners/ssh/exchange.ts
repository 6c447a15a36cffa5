/**
 * One program on the host, from its text to its end: the output comes as bytes on standard output, behind a mark; what the program tells comes as lines on
 * standard error. What a login shell says of its own accord before that is kept for the case that nothing else comes.
 */
import type { Leased } from "./pool.ts";

/** What the programs of wrapper-parts.ts tell. */
export type Told =
  | { readonly type: "begun" | "none" | "refused" | "removed" }
  | { readonly type: "cannot"; readonly why: string }
  | { readonly type: "pid"; readonly pid: number }
  | { readonly type: "gone"; readonly why: "session" | "reboot" }
  | { readonly type: "result" | "err"; readonly bytes: Buffer }
  | { readonly type: "signalled"; readonly left: string }
  /** `size`: of the whole output. */
  | {
      readonly type: "end";
      readonly first: number;
      readonly second: number;
      readonly byDeadline: boolean;
      readonly size: number;
      readonly text: string;
    };

export type ExchangeDeps = {
  /** A piece of the output; the next one is read when it resolves. */
  readonly output: (bytes: Buffer) => Promise<void>;
  readonly told: (told: Told) => void;
};

export type ExchangeEnd = {
  /** Whatever the server said that was not the program's; for people. */
  readonly noise: string;
};

const MAX_NOISE = 2000;
const MAX_BEFORE_MARK = 65_536;

/** Resolves when the channel has ended, by whomever; rejects only when `output` does. */
export async function exchange(deps: ExchangeDeps, leased: Leased, nonce: string, program: string): Promise<ExchangeEnd> {
  const { channel } = leased;
  let noise = "";
  const addNoise = (text: string) => {
    if (noise.length < MAX_NOISE) noise = (noise + text).slice(0, MAX_NOISE);
  };
  channel.on("error", () => {});
  const lines = toldReader(nonce, deps.told, addNoise);
  channel.stderr.on("data", (chunk: Buffer) => lines(chunk));
  const errorsEnded = new Promise<void>((resolve) => {
    channel.stderr.once("end", () => resolve());
    channel.once("close", () => resolve());
    void leased.closed.then(() => resolve());
  });
  channel.end(program);
  const mark = Buffer.from(`@${nonce} out\n`);
  let before: Buffer | undefined = Buffer.alloc(0);
  try {
    for await (const chunk of channel as AsyncIterable<Buffer>) {
      if (before === undefined) {
        await deps.output(chunk);
        continue;
      }
      before = Buffer.concat([before, chunk]);
      const at = before.indexOf(mark);
      if (at === -1) {
        if (before.length > MAX_BEFORE_MARK) before = before.subarray(-mark.length);
        continue;
      }
      addNoise(before.toString("utf8", 0, at));
      const rest: Buffer = before.subarray(at + mark.length);
      before = undefined;
      if (rest.length > 0) await deps.output(rest);
    }
  } finally {
    channel.close();
  }
  if (before !== undefined) addNoise(before.toString("utf8", 0, MAX_NOISE));
  await errorsEnded;
  return { noise: noise.trim() };
}

/** Takes standard error in pieces: lines that begin with the mark are the program's, and some announce bytes. */
function toldReader(nonce: string, told: (told: Told) => void, noise: (text: string) => void): (chunk: Buffer) => void {
  const mark = `@${nonce} `;
  let rest = Buffer.alloc(0);
  let wanted: { type: "result" | "err"; size: number } | undefined;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      if (wanted !== undefined) {
        if (rest.length < wanted.size) return;
        told({ type: wanted.type, bytes: rest.subarray(0, wanted.size) });
        rest = rest.subarray(wanted.size);
        wanted = undefined;
      }
      const end = rest.indexOf(10);
      if (end === -1) return;
      const line = rest.toString("utf8", 0, end);
      rest = rest.subarray(end + 1);
      if (!line.startsWith(mark)) {
        noise(`${line}\n`);
        continue;
      }
      const [word = "", ...args] = line.slice(mark.length).split(" ");
      if (word === "result" || word === "err") wanted = { type: word, size: Number(args[0]) };
      else tell(word, args, told);
    }
  };
}

function tell(word: string, args: readonly string[], told: (told: Told) => void): void {
  const text = args.join(" ");
  switch (word) {
    case "begun":
    case "none":
    case "refused":
    case "removed":
      return told({ type: word });
    case "cannot":
      return told({ type: word, why: text.trim() });
    case "pid":
      return told({ type: word, pid: Number(text) });
    case "gone":
      return told({ type: word, why: text === "reboot" ? "reboot" : "session" });
    case "signalled":
      return told({ type: word, left: text.trim() });
    case "end": {
      const [first, second, deadline, size, ...words] = args;
      return told({
        type: word,
        first: Number(first),
        second: Number(second),
        byDeadline: deadline === "1",
        size: Number(size),
        text: words.join(" "),
      });
    }
    default:
    // A sign of life.
  }
}
