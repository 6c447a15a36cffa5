/** What a masker looks for: the forms in which a value may turn up in output, and where in a piece of bytes they are. Pure. */
import { MIN_MASKED_LENGTH } from "fleetcron-shared/model/secret";

/** Programs that write base64 break it after so many characters. */
const BASE64_LINES = [76, 64];
/** Shorter pieces of broken base64 would be found by chance. */
const MIN_PIECE = 8;

export type ByteRange = { readonly start: number; readonly end: number };

/** Every form of every value; values and lines that are too short have none. */
export function needlesOf(values: readonly string[]): Buffer[] {
  const texts = values.flatMap((value) => [value, ...value.split(/[\r\n]+/).map((line) => line.trim())]);
  const long = texts.filter((text) => text.length >= MIN_MASKED_LENGTH);
  const forms = new Set(long.flatMap(formsOf).filter((form) => form.length >= MIN_MASKED_LENGTH));
  return [...forms].map((form) => Buffer.from(form));
}

function formsOf(text: string): string[] {
  const percent = encodeURIComponent(text);
  return [
    text,
    JSON.stringify(text).slice(1, -1),
    percent,
    percent.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    percent.replaceAll("%20", "+"),
    ...base64Forms(Buffer.from(text)),
  ];
}

/** A value inside a longer text that is encoded as a whole begins at one of three places of a group of four; what it shares with its neighbours is left out. */
function base64Forms(bytes: Buffer): string[] {
  const shifted = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
  });
  const [unshifted = ""] = shifted;
  const pieces = BASE64_LINES.filter((width) => unshifted.length > width).flatMap(
    (width) => unshifted.match(new RegExp(`.{1,${width}}`, "g")) ?? [],
  );
  return [...shifted, ...pieces.filter((piece) => piece.length >= MIN_PIECE)].flatMap((form) => [
    form,
    form.replaceAll("+", "-").replaceAll("/", "_"),
  ]);
}

/** The parts of `text` that are needles, in order, those that overlap or touch as one; its first `covered` bytes count too. */
export function coveredRanges(needles: readonly Buffer[], text: Buffer, covered: number): ByteRange[] {
  const found: ByteRange[] = covered > 0 ? [{ start: 0, end: covered }] : [];
  for (const needle of needles) {
    let last: { start: number; end: number } | undefined;
    for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
      if (last !== undefined && at <= last.end) last.end = at + needle.length;
      else {
        last = { start: at, end: at + needle.length };
        found.push(last);
      }
    }
  }
  found.sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of found) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** How many bytes at the begin of a text that was cut may be the end of a needle. */
export function endOfPartial(needles: readonly Buffer[], text: Buffer): number {
  let longest = 0;
  for (const needle of needles) {
    for (let length = Math.min(needle.length - 1, text.length); length > longest; length--) {
      if (text.subarray(0, length).equals(needle.subarray(-length))) longest = length;
    }
  }
  return longest;
}
