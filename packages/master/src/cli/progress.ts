/** How far a wait is: one line on a terminal's standard error, written over itself; elsewhere nothing. */
import type { Context } from "./context.ts";

export function createProgress({ io }: Pick<Context, "io">) {
  let shown = false;
  return {
    show(text: string) {
      if (!io.errIsTerminal) return;
      shown = true;
      io.err(`\r\x1b[K${text}`);
    },
    clear() {
      if (shown) io.err("\r\x1b[K");
      shown = false;
    },
  };
}
