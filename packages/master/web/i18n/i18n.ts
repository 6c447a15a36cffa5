/** The console's words in the browser's language or the chosen one. */
import { type Signal, signal } from "@preact/signals";
import { COMMON } from "./common.ts";
import { FLEET } from "./fleet.ts";
import { JOBS } from "./jobs.ts";

/** Each row: English, Chinese. `{name}` stands for a value. */
export const WORDS = { ...COMMON, ...JOBS, ...FLEET } as const;
export type Word = keyof typeof WORDS;
export type Lang = "en" | "zh";
export type Translate = (word: Word, values?: Readonly<Record<string, string | number>>) => string;

const COLUMN = { en: 0, zh: 1 } as const;

export function createWords(first: Lang): { lang: Signal<Lang>; t: Translate } {
  const lang = signal(first);
  return {
    lang,
    t: (word, values = {}) =>
      WORDS[word][COLUMN[lang.value]].replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole)),
  };
}

/** The first of the browser's languages that there is. */
export function pickLang(languages: readonly string[]): Lang {
  const known = languages.map((language) => language.slice(0, 2).toLowerCase()).find((language) => language === "en" || language === "zh");
  return known === "zh" ? "zh" : "en";
}
