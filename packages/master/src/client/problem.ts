/** What went wrong, as plain data, for those who show it otherwise than on a terminal. */
import { AppError, asError, type Issue } from "fleetcron-shared/base/errors";

export type ProblemView = {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly issues: readonly Issue[];
};

export function problemView(thrown: unknown): ProblemView {
  if (thrown instanceof AppError) return { code: thrown.code, message: thrown.message, hint: thrown.hint, issues: thrown.issues };
  return { code: "internal/bug", message: asError(thrown).message, hint: undefined, issues: [] };
}
