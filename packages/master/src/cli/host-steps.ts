/** Where each of several hosts has come to: one line on a terminal, written over itself; elsewhere a line for each step that a host begins. */
import type { Context } from "./context.ts";
import { createProgress } from "./progress.ts";

export function createHostSteps(context: Pick<Context, "io">, count: number) {
  const { io } = context;
  const progress = createProgress(context);
  const now = new Map<string, { step: string; detail: string | undefined }>();
  let done = 0;
  const show = () => {
    const parts = [...now].map(([host, { step, detail }]) => `${host}: ${step}${detail === undefined ? "" : ` ${detail}`}`);
    const text = `${count > 1 ? `${done}/${count} done  ` : ""}${parts.join("  ")}`;
    progress.show(text.length > 100 ? `${text.slice(0, 99)}…` : text);
  };
  return {
    onStep(host: string, step: string, detail?: string) {
      const isNew = now.get(host)?.step !== step;
      now.set(host, { step, detail });
      if (isNew && !io.errIsTerminal) io.err(`${host}: ${step}\n`);
      show();
    },
    end(host: string) {
      now.delete(host);
      done++;
      if (now.size > 0) show();
      else progress.clear();
    },
  };
}
