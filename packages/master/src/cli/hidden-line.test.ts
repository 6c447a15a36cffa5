import { EventEmitter } from "node:events";
import type { ReadStream } from "node:tty";
import test from "ava";
import { readHiddenLine } from "./hidden-line.ts";

class Terminal extends EventEmitter {
  raw = false;
  setEncoding = () => this;
  resume = () => this;
  pause = () => this;
  setRawMode(raw: boolean) {
    this.raw = raw;
    return this;
  }
}

function ask() {
  const terminal = new Terminal();
  const shown: string[] = [];
  const line = readHiddenLine(terminal as unknown as ReadStream, (text) => shown.push(text), "value: ");
  return { terminal, shown, line };
}

test("what is typed comes back and is not shown; backspace takes a whole character away", async (t) => {
  const { terminal, shown, line } = ask();
  t.true(terminal.raw);
  for (const keys of ["se", "€\x7f", "c\bcret", "\rrest"]) terminal.emit("data", keys);
  t.is(await line, "secret");
  t.is(shown.join(""), "value: \n");
  t.false(terminal.raw);
  t.is(terminal.listenerCount("data"), 0);
});

test("Ctrl-C ends it and leaves the terminal as it was", async (t) => {
  const { terminal, line } = ask();
  terminal.emit("data", "se\x03");
  await t.throwsAsync(line, { message: "interrupted" });
  t.false(terminal.raw);
});
