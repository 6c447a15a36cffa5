/** What an executable of Node.js says of itself without being run: for which processor, and with which loader (glibc's or musl's). */
import { type FileHandle, open } from "node:fs/promises";
import { AppError, asError } from "fleetcron-shared/base/errors";

export type NodeBinary = {
  readonly path: string;
  /** As `process.arch` has it. */
  readonly arch: string;
  /** Path of the loader that must be there on the host; undefined: linked statically. */
  readonly interpreter: string | undefined;
};

const MACHINES: Readonly<Record<number, string>> = { 62: "x64", 183: "arm64" };
const PT_INTERP = 3;

/** Throws `input/unreadable` or `input/invalid`. */
export async function readNodeBinary(path: string): Promise<NodeBinary> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (cause) {
    throw new AppError("input/unreadable", `the Node.js binary ${path} cannot be read: ${asError(cause).message}`, { cause });
  }
  try {
    const head = Buffer.alloc(64);
    await file.read(head, 0, 64, 0);
    if (head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1) throw noProgram(path, "it is no 64-bit program of Linux");
    const arch = MACHINES[head.readUInt16LE(18)];
    if (arch === undefined) throw noProgram(path, "it is for a processor that agents do not run on");
    return { path, arch, interpreter: await readInterpreter(file, head) };
  } finally {
    await file.close();
  }
}

/** The loader that the program header names. */
async function readInterpreter(file: FileHandle, head: Buffer): Promise<string | undefined> {
  const [at, size, count] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
  const headers = Buffer.alloc(size * count);
  await file.read(headers, 0, headers.length, at);
  for (let offset = 0; offset + 56 <= headers.length; offset += size) {
    if (headers.readUInt32LE(offset) !== PT_INTERP) continue;
    const name = Buffer.alloc(Math.min(Number(headers.readBigUInt64LE(offset + 32)), 256));
    await file.read(name, 0, name.length, Number(headers.readBigUInt64LE(offset + 8)));
    return name.toString("latin1").replace(/\0.*$/s, "");
  }
  return undefined;
}

function noProgram(path: string, why: string): AppError {
  return new AppError("input/invalid", `${path} is no Node.js that can be installed: ${why}`, {
    hint: "give the file bin/node of Node.js 24 or later for Linux on x64 or arm64 with --node-binary",
  });
}
