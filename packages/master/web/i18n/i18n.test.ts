import test from "ava";
import { createWords, pickLang, WORDS, type Word } from "./i18n.ts";

test("every word is there in both languages, with the same values in it", (t) => {
  const rows: [string, readonly [string, string]][] = Object.entries(WORDS);
  for (const [word, [en, zh]] of rows) {
    t.true(en !== "" && zh !== "", word);
    const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
    t.deepEqual(names(zh), names(en), word);
    if (!["cron.", "help."].some((start) => word.startsWith(start))) t.regex(zh, /[\u4e00-\u9fff]/, word);
  }
});

test("the browser's language decides, English otherwise; values are put in as they are", (t) => {
  t.deepEqual([["zh-TW", "en"], ["de", "zh"], ["fr"], []].map(pickLang), ["zh", "zh", "en", "en"]);
  const { lang, t: say } = createWords("en");
  t.is(say("time.ago" satisfies Word, { span: "{n} $& <b>" }), "{n} $& <b> ago");
  lang.value = "zh";
  t.is(say("nav.jobs"), "作业");
});
