/** The address of a unix socket in a folder of any depth: the kernel takes about a hundred characters only, so a long path goes by way of a descriptor. */
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";

const LONGEST = 100;

/** `close` when the socket is no longer listened on or has been connected. */
export function socketAddress(folder: string, name: string): { readonly path: string; close(): void } {
  const path = join(folder, name);
  if (Buffer.byteLength(path) <= LONGEST) return { path, close() {} };
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${fd}/${name}`, close: () => closeSync(fd) };
}
