/** What a terminal would show of a line: without colours and other control sequences, and without what a progress bar has written over. Pure. */

const ESCAPE = String.fromCharCode(27);
const BELL = String.fromCharCode(7);
/** CSI with its parameters, OSC up to its end, other two-character sequences. */
export const CONTROL_SEQUENCE = new RegExp(
  `${ESCAPE}(?:\\[([0-9;:?<=>]*)[ -/]*([@-~])|\\][^${BELL}${ESCAPE}]*(?:${BELL}|${ESCAPE}\\\\)?|[ -/]*[0-~])`,
  "g",
);
/** Single control characters; tab and newline are text. */
export const CONTROL_CHARACTERS = new RegExp(
  `[${String.fromCharCode(0)}-${String.fromCharCode(8)}${String.fromCharCode(11)}-${String.fromCharCode(31)}${String.fromCharCode(127)}]`,
  "g",
);

/** The line without anything that is not text. */
export function plainText(line: string): string {
  return overwritten(line).replace(CONTROL_SEQUENCE, "").replace(CONTROL_CHARACTERS, "");
}

/** What is left of a line whose carriage returns were obeyed. */
export function overwritten(line: string): string {
  const ended = line.replace(/\r+$/, "");
  return ended.slice(ended.lastIndexOf("\r") + 1);
}
