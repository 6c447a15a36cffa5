/** A short command on a connection, with its input and output as a whole: for looking and for installing, not for jobs. */
import { asError } from "../base/errors.ts";
import type { SshChannel, SshConnection } from "./connect.ts";

export type RunOptions = {
  /** Given as standard input; nothing in it is seen in `ps`. */
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Most that is kept of each of stdout and stderr; the rest is read and dropped. Default 1 MiB. */
  readonly maxBytes?: number;
  /** Gives up and closes the channel; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
};

export type Ran = {
  /** Undefined: ended by a signal, or the server told nothing. */
  readonly code: number | undefined;
  /** Such as SIGKILL. */
  readonly signal: string | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
};

/** Throws SshError as `exec` does. When the connection is cut in the middle, code and signal are undefined. */
export async function runCommand(connection: SshConnection, command: string, options: RunOptions = {}): Promise<Ran> {
  const channel = await connection.exec(command);
  const maxBytes = options.maxBytes ?? 2 ** 20;
  const stdout = collect(channel, maxBytes);
  const stderr = collect(channel.stderr, maxBytes);
  let code: number | undefined;
  let signal: string | undefined;
  channel.on("exit", (status: number | null, name?: string) => {
    code = status ?? undefined;
    signal = name;
  });
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      channel.close();
      reject(asError(options.signal?.reason));
    };
    if (options.signal?.aborted) return stop();
    options.signal?.addEventListener("abort", stop, { once: true });
    channel.on("error", () => {});
    channel.on("close", () => {
      options.signal?.removeEventListener("abort", stop);
      resolve();
    });
    void feed(channel, options.stdin).catch(() => channel.close());
  });
  return { code, signal, stdout: stdout(), stderr: stderr() };
}

/** Writes all of it, as fast as the other end takes it, and closes the input. */
export async function feed(channel: SshChannel, input: RunOptions["stdin"]): Promise<void> {
  if (input === undefined || typeof input === "string" || input instanceof Uint8Array) return void channel.end(input ?? "");
  const closed = new Promise<void>((resolve) => channel.once("close", () => resolve()));
  for await (const bytes of input) {
    if (!channel.writable) return;
    await Promise.race([closed, new Promise<void>((resolve) => channel.write(bytes, () => resolve()))]);
  }
  channel.end();
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    if (size < maxBytes) chunks.push(chunk.subarray(0, maxBytes - size));
    size += chunk.length;
  });
  return () => Buffer.concat(chunks);
}
