/** The log of a session: its runner hands over bytes, in order, and is slowed down by a slow disk. A disk that is full costs output, never the session. */
import { type FileHandle, open } from "node:fs/promises";
import { asError } from "fleetcron-shared/base/errors";

export type LogFile = {
  /** Resolves when the file has them. Never rejects. */
  write(bytes: Uint8Array): Promise<void>;
  /** After what was written before. */
  close(): Promise<void>;
};

/** Appends to `path`, which is made with the first byte. `warn` hears once that it cannot be written. */
export function openLogFile(path: string, warn: (message: string) => void): LogFile {
  let file: FileHandle | undefined;
  let hasFailed = false;
  let last: Promise<void> = Promise.resolve();

  async function append(bytes: Uint8Array): Promise<void> {
    try {
      file ??= await open(path, "a", 0o640);
      await file.appendFile(bytes);
    } catch (thrown) {
      if (!hasFailed) warn(`cannot write ${path}: ${asError(thrown).message}`);
      hasFailed = true;
    }
  }

  return {
    write(bytes) {
      last = last.then(() => append(bytes));
      return last;
    },
    close: () => last.then(() => file?.close()).then(() => {}),
  };
}
