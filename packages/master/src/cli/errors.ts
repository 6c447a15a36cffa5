/** What went wrong, for people on standard error: what, where, why, what to do. A stack trace only with --debug. */
import { AppError, asAppError, formatIssue } from "fleetcron-shared/base/errors";
import { plain } from "./human.ts";

/** The text for standard error and the exit code of the program. */
export function renderError(thrown: unknown, debug: boolean): { text: string; exit: number } {
  const error = asAppError(thrown);
  const bug = error.code === "internal/bug" && !(thrown instanceof AppError);
  const lines = [`error: ${plain(error.message)}`];
  for (const issue of error.issues) lines.push(`  ${plain(formatIssue(issue))}`);
  if (error.hint !== undefined) lines.push(`  to do: ${plain(error.hint)}`);
  else if (bug) lines.push("  to do: this is a fault in Fleetcron; run it again with --debug and report what it prints");
  if (debug) lines.push("", `${error.code}`, stackOf(error));
  return { text: `${lines.join("\n")}\n`, exit: error.row.exit };
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : "";
  return `${error.stack ?? error.message}${cause}`;
}
