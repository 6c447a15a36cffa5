/** Writes tar archives (ustar, with GNU's entry for long names): as much as a bundle needs. Owner is root, times are left at 0, so equal files make equal archives. */

export type TarEntry = {
  /** Relative, with `/`. */
  readonly path: string;
  readonly mode: number;
} & ({ readonly content: Uint8Array } | { readonly linkTo: string });

const BLOCK = 512;
const TYPE = { file: "0", link: "2", longName: "L" } as const;

/** The blocks of one entry. */
export function tarEntry(entry: TarEntry): Uint8Array[] {
  const isLink = "linkTo" in entry;
  const content = isLink ? new Uint8Array() : entry.content;
  const long = Buffer.byteLength(entry.path) > 100 ? longName(entry.path) : [];
  const type = isLink ? TYPE.link : TYPE.file;
  return [...long, header(entry.path, entry.mode, content.length, type, isLink ? entry.linkTo : ""), ...padded(content)];
}

/** What stands at the end of an archive. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * BLOCK);
}

function longName(path: string): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  return [header("././@LongLink", 0o644, name.length, TYPE.longName, ""), ...padded(name)];
}

function padded(content: Uint8Array): Uint8Array[] {
  const rest = content.length % BLOCK;
  return rest === 0 ? [content] : [content, new Uint8Array(BLOCK - rest)];
}

function header(path: string, mode: number, size: number, type: string, linkTo: string): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, length, "latin1");
  block.write(path, 0, 100);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.fill(" ", 148, 156);
  block.write(type, 156, "latin1");
  block.write(linkTo, 157, 100);
  block.write("ustar\x0000", 257, "latin1");
  block.write("root", 265, "latin1");
  block.write("root", 297, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
  return block;
}
