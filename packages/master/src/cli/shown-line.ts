/** One line from a person at the terminal. */
import { createInterface } from "node:readline/promises";
import type { ReadStream, WriteStream } from "node:tty";
import { AppError } from "fleetcron-shared/base/errors";

export async function readShownLine(terminal: ReadStream, err: WriteStream, question: string): Promise<string> {
  const lines = createInterface({ input: terminal, output: err });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once("close", () => reject(new AppError("input/usage", "interrupted")));
      void lines.question(question).then(resolve, reject);
    });
  } finally {
    lines.close();
  }
}
