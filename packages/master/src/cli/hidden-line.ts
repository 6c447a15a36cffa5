/** One line from a person at the terminal, without echo. */
import type { ReadStream } from "node:tty";
import { AppError } from "fleetcron-shared/base/errors";

export function readHiddenLine(terminal: ReadStream, err: (text: string) => void, question: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let line = "";
  const end = (settle: () => void) => {
    terminal.off("data", onData).setRawMode(false).pause();
    err("\n");
    settle();
  };
  const onData = (text: string) => {
    for (const char of text) {
      if (char === "\r" || char === "\n" || char === "\x04") return end(() => resolve(line));
      if (char === "\x03") return end(() => reject(new AppError("input/usage", "interrupted")));
      line = char === "\x7f" || char === "\b" ? [...line].slice(0, -1).join("") : line + char;
    }
  };
  terminal.setEncoding("utf8");
  terminal.setRawMode(true).resume().on("data", onData);
  err(question);
  return promise;
}
