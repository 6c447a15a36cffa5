/** Structured logs (pino): the message is a constant string, variables are fields. */
import pino from "pino";

/** What components log to. Fields first, constant message second. */
export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
};

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** JSON lines on standard error, with RFC 3339 times. */
export function createLog(options: { level: LogLevel; name: string }): Log {
  return pino(
    {
      level: options.level,
      base: { program: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** Drops everything: for tests and for library use. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLog,
};
