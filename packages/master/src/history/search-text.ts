/**
 * Text search that means the same in SQLite, PostgreSQL and in memory. A search is words between blanks; a record is found when its name, command or output
 * has each of them, beginning and ending where a word does, in capitals or not. A `*` at the end: the word may go on. Letters of Chinese, Japanese and
 * Korean are words of their own, so any piece of such a text is found. Indexes know the words only; what they find is compared to the letter here.
 * Nothing in a search is syntax, but for the final `*`. Pure.
 */
import type { ExecutionRecord } from "fleetcron-shared/model/record";

/** Scripts that are written without blanks. */
const ALONE = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}";
const LETTER = `[[\\p{L}\\p{N}]--[${ALONE}]]`;
const WORDS = new RegExp(`[${ALONE}]|${LETTER}+`, "gv");
const ENDS_IN_WORD = new RegExp(`${LETTER}$`, "v");
const BEGINS_IN_WORD = new RegExp(`^${LETTER}`, "v");
/** Longer words are known by their beginning. */
const MAX_WORD = 64;
/** Further words of a record are not found. */
const MAX_WORDS = 2000;
const MAX_TERMS = 16;

/** In small letters; NUL and halves of characters, which no database takes, replaced. */
export function foldText(text: string): string {
  return clean(text).toLowerCase();
}

/** What every database accepts as text. */
export function clean(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** The text of a record that is searched. */
export function textOf({ name, command, output }: Pick<ExecutionRecord, "name" | "command" | "output">): string {
  return foldText(`${name}\n${command ?? ""}\n${output?.tail ?? ""}`);
}

/** The distinct words of a folded text. */
export function wordsOf(folded: string): string[] {
  const words = new Set<string>();
  for (const [word] of folded.matchAll(WORDS)) {
    words.add(cut(word));
    if (words.size >= MAX_WORDS) break;
  }
  return [...words];
}

export type TextSearch = {
  /** All of them must be words of the record. */
  readonly words: readonly string[];
  /** Of each of them, some word must begin so. */
  readonly beginnings: readonly string[];
  /** No record can be found: there is no word in the search. */
  readonly isEmpty: boolean;
  /** What the index has found, compared to the letter. */
  test(record: Pick<ExecutionRecord, "name" | "command" | "output">): boolean;
};

export function compileSearch(text: string): TextSearch {
  const terms = foldText(text)
    .split(/\s+/)
    .filter((term) => term !== "")
    .slice(0, MAX_TERMS);
  const words = new Set<string>();
  const beginnings = new Set<string>();
  const checks: RegExp[] = [];
  for (const term of terms) {
    const isOpen = term.endsWith("*");
    const letters = isOpen ? term.replace(/\*+$/, "") : term;
    const parts = [...letters.matchAll(WORDS)].map(([part]) => part);
    const last = isOpen && ENDS_IN_WORD.test(letters) ? parts.pop() : undefined;
    for (const part of parts) words.add(cut(part));
    if (last !== undefined) beginnings.add(cut(last));
    if (parts.length + (last === undefined ? 0 : 1) > 0) checks.push(edged(letters, isOpen));
  }
  return {
    words: [...words],
    beginnings: [...beginnings],
    isEmpty: words.size + beginnings.size === 0,
    test(record) {
      const folded = textOf(record);
      return checks.length > 0 && checks.every((check) => check.test(folded));
    },
  };
}

/** The letters as they stand, not in the middle of a longer word. */
function edged(letters: string, isOpen: boolean): RegExp {
  const escaped = letters.replace(/[\\^$.*+?()[\]{}|/-]/g, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);
  const before = BEGINS_IN_WORD.test(letters) ? `(?<!${LETTER})` : "";
  const after = !isOpen && ENDS_IN_WORD.test(letters) ? `(?!${LETTER})` : "";
  return new RegExp(`${before}${escaped}${after}`, "v");
}

function cut(word: string): string {
  return word.length <= MAX_WORD ? word : word.slice(0, MAX_WORD).toWellFormed();
}
