/** The one error class, its issues, and the cast for `catch`. Codes live in error-table.ts. */
import { ERROR_TABLE, type ErrorCode, type ErrorRow } from "./error-table.ts";

/** One thing that is wrong in an input: where it is (`file:line` when known, `path` as in `jobs.db/backup.rules[0].timer`), why, what to do. */
export type Issue = {
  readonly message: string;
  readonly path?: string;
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  readonly hint?: string;
};

/** An expected failure: `code` of the table, a message for people, `issues` for inputs, `cause` kept. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  /** What the person can do about it, when the message does not say it already. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, more: { cause?: unknown; issues?: readonly Issue[]; hint?: string } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "AppError";
    this.code = code;
    this.issues = more.issues ?? [];
    this.hint = more.hint;
  }

  get row(): ErrorRow {
    return ERROR_TABLE[this.code];
  }
}

/** Anything thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Whether `thrown` is an AppError with this code. */
export function isCode(thrown: unknown, ...codes: ErrorCode[]): thrown is AppError {
  return thrown instanceof AppError && codes.includes(thrown.code);
}

/** Anything thrown, as an AppError: what is not one yet is a fault of ours (`internal/bug`). */
export function asAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError("internal/bug", asError(thrown).message, { cause: thrown });
}

/** One line per issue: `file:line: path: message (hint)`. */
export function formatIssue(issue: Issue): string {
  const where = issue.file === undefined ? "" : `${issue.file}${issue.line === undefined ? "" : `:${issue.line}`}: `;
  const path = issue.path === undefined || issue.path === "" ? "" : `${issue.path}: `;
  return `${where}${path}${issue.message}${issue.hint === undefined ? "" : ` (${issue.hint})`}`;
}
