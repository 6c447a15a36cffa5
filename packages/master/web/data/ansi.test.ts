import test from "ava";
import { plainText } from "fleetcron-shared/model/plain-text";
import { ansiPieces } from "./ansi.ts";

const E = "\u001b";
const shown = (line: string) => ansiPieces(line).map(({ text, class: name }) => (name === "" ? text : `[${name}|${text}]`));

test("colours and faces become classes, and end where they end", (t) => {
  t.deepEqual(shown(`a ${E}[31mred ${E}[1mbold${E}[22m thin${E}[0m b`), [
    "a ",
    "[a-fg1|red ]",
    "[a-bold a-fg1|bold]",
    "[a-fg1| thin]",
    " b",
  ]);
  t.deepEqual(shown(`${E}[92;44mx${E}[39my${E}[49mz${E}[mw`), ["[a-fg10 a-bg4|x]", "[a-bg4|y]", "z", "w"]);
  t.deepEqual(shown(`${E}[3;4;7;9mx`), ["[a-italic a-underline a-inverse a-struck|x]"]);
});

test("256 colours and true colours become values that nobody can break out of", (t) => {
  t.like(ansiPieces(`${E}[38;5;196mx`)[0], { text: "x", color: "rgb(255, 0, 0)" });
  t.like(ansiPieces(`${E}[38;5;9mx`)[0], { class: "a-fg9" });
  t.like(ansiPieces(`${E}[48;5;255mx`)[0], { background: "rgb(238, 238, 238)" });
  t.like(ansiPieces(`${E}[38;2;1;2;999mx`)[0], { color: "rgb(1, 2, 255)" });
  t.like(ansiPieces(`${E}[38;2;;NaN;mx`)[0], { color: undefined, text: "aN;mx" }, "another sequence ends it");
});

test("all that is not text is left out: links, titles, movements, control characters; what is overwritten is gone", (t) => {
  t.deepEqual(
    shown(`${E}]8;;javascript:alert(1)\u0007link${E}]8;;\u0007 ${E}]0;title${E}\\x${E}[2Ky${E}[10;5Hz${E}(B\u0000\u0008\u007f!`),
    ["link", " ", "x", "y", "z", "!"],
  );
  t.is(plainText("10 %\r50 %\r100 %\r"), "100 %");
  t.is(plainText(`${E}[32mok${E}[0m\u0001`), "ok");
  t.deepEqual(ansiPieces(""), []);
});

test("markup stays text", (t) => {
  t.deepEqual(shown('<img src=x onerror="1">'), ['<img src=x onerror="1">']);
});
