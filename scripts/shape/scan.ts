/**
 * Reads a TypeScript source far enough to check its shape: comments blanked, the contents of strings blanked in a second copy, and its
 * imports listed. Offsets and line breaks stay, so every finding has its line. A light tokeniser, not a parser.
 */

/** One `import`, `export … from` or `import(…)`. `import { type A }` still loads the file, so only `import type` is `typeOnly`. */
export type Import = {
  readonly from: string;
  readonly line: number;
  readonly typeOnly: boolean;
  readonly reexport: "all" | "named" | undefined;
};

export type Source = {
  /** Relative to the repository, with `/`. */
  readonly path: string;
  readonly lines: number;
  /** The text with comments and the contents of strings, templates and regular expressions blanked. */
  readonly code: string;
  readonly imports: readonly Import[];
};

/** Scans one file. */
export function scan(path: string, text: string): Source {
  const { code, strings } = blank(path, text);
  return { path, lines: text.split("\n").length - (text.endsWith("\n") ? 1 : 0), code, imports: findImports(code, strings) };
}

/** The 1-based line of an offset. */
export function lineAt(code: string, offset: number): number {
  let line = 1;
  for (let at = code.indexOf("\n"); at !== -1 && at < offset; at = code.indexOf("\n", at + 1)) line++;
  return line;
}

const IMPORT = /(?<![.\w$])(import|export)(\s+type\b(?!\s*(?:,|from\b|=)))?\s*([^;"'`()=]*?\bfrom\s*)?(\(\s*)?(["'])/g;

function findImports(code: string, strings: ReadonlyMap<number, string>): Import[] {
  const found: Import[] = [];
  for (const match of code.matchAll(IMPORT)) {
    const [whole, keyword, type, clause, call] = match;
    if (keyword === "export" && clause === undefined) continue;
    const from = strings.get(match.index + whole.length - 1);
    if (from === undefined) continue;
    found.push({
      from,
      line: lineAt(code, match.index),
      typeOnly: type !== undefined && call === undefined,
      reexport: keyword === "import" ? undefined : (clause ?? "").trimStart().startsWith("*") ? "all" : "named",
    });
  }
  return found;
}

/** Blanks comments and string contents (quotes stay); `strings` maps the offset of an opening quote to the text. */
function blank(path: string, text: string): { code: string; strings: Map<number, string> } {
  const out = text.split("");
  const strings = new Map<number, string>();
  const wipe = (from: number, to: number) => {
    for (let i = from; i < to; i++) if (out[i] !== "\n") out[i] = " ";
  };
  /** Brace depth at which each open `${` began. */
  const templates: number[] = [];
  let depth = 0;
  let previous = "";
  let at = 0;
  /** Wipes the template text from `at` to the next `${` or the closing back-tick. */
  const template = () => {
    const start = at;
    while (at < text.length && text[at] !== "`" && !(text[at] === "$" && text[at + 1] === "{")) at += text[at] === "\\" ? 2 : 1;
    wipe(start, Math.min(at, text.length));
    if (text[at] === "$") {
      templates.push(depth++);
      at += 2;
      previous = "{";
    } else {
      at++;
      previous = "`";
    }
  };
  while (at < text.length) {
    const char = text[at] ?? "";
    const pair = char + (text[at + 1] ?? "");
    if (pair === "//" || pair === "/*") {
      const end = pair === "//" ? text.indexOf("\n", at) : text.indexOf("*/", at + 2) + 2;
      const stop = end < 2 ? text.length : end;
      wipe(at, stop);
      at = stop;
    } else if (char === '"' || char === "'") {
      const end = closing(text, at);
      strings.set(at, text.slice(at + 1, end));
      wipe(at + 1, end);
      at = end + 1;
      previous = char;
    } else if (char === "`") {
      at++;
      template();
    } else if (char === "/" && !isOfTag(path, text, at) && startsRegExp(previous)) {
      const end = closing(text, at);
      wipe(at + 1, end);
      at = end + 1;
      previous = "/";
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      at++;
      if (char === "}" && templates.at(-1) === depth) {
        templates.pop();
        template();
      } else if (/\S/.test(char)) previous = /[\w$]/.test(char) && /[\w$]/.test(text[at - 2] ?? "") ? previous + char : char;
    }
  }
  return { code: out.join(""), strings };
}

/** The offset of the delimiter that closes the one at `at` (a character class hides `/`), or the end of the line. */
function closing(text: string, at: number): number {
  const delimiter = text[at];
  let inClass = false;
  for (let i = at + 1; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === "\n") return i;
    else if (delimiter === "/" && char === "[") inClass = true;
    else if (delimiter === "/" && char === "]") inClass = false;
    else if (char === delimiter && !inClass) return i;
  }
  return text.length;
}

/** `</div>` and `<input />` of TSX. */
function isOfTag(path: string, text: string, at: number): boolean {
  return path.endsWith(".tsx") && (text[at - 1] === "<" || text[at + 1] === ">");
}

function startsRegExp(previous: string): boolean {
  return previous === "" || /^(?:[(,=:[!&|?{};+\-*%<>~^]|return|typeof|case|in|of|await|yield|throw|void)$/.test(previous);
}
