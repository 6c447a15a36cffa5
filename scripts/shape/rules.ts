/** The checks themselves: sources in, findings out. Pure; the tables are in tables.ts. */
import { posix } from "node:path";
import { type Import, lineAt, type Source } from "./scan.ts";
import { BANS, COMMON_FILES, LIBRARIES, MAX_LINES, MAX_TEST_LINES, MAY_IMPORT, TIMERS_IN_TESTS_ALLOWED, TYPES_ONLY } from "./tables.ts";

/** One thing to mend: where it is and what to do. */
export type Finding = { readonly path: string; readonly line: number; readonly message: string };

/** All findings, in the order of path and line. */
export function checkShape(sources: readonly Source[]): Finding[] {
  const findings = [
    ...sources.flatMap((source) => [...checkFile(source), ...checkImports(source), ...checkAmbient(source)]),
    ...findCycles(sources),
  ];
  return findings.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

/** Tests, what only they use, and suites of tests that several adapters pass. */
export function isTest(path: string): boolean {
  return /(\.test|-contract(-[a-z]+)?)\.ts$/.test(path) || path.startsWith("test/");
}

/** `packages/agent/src/run/x.ts` → `agent/run`; a package's top-level file → `agent/src`; undefined outside the packages. */
export function folderOf(path: string): string | undefined {
  const match = path.match(/^packages\/([^/]+)\/(?:src|web)\/(?:([^/]+)\/)?/);
  if (!match) return undefined;
  const [, name = "", folder] = match;
  if (path.startsWith(`packages/${name}/web/`)) return `${name}/web`;
  return `${name}/${folder ?? (COMMON_FILES[name]?.includes(posix.basename(path)) ? "common" : "src")}`;
}

function checkFile(source: Source): Finding[] {
  const { path, code } = source;
  const at = (line: number, message: string): Finding => ({ path, line, message });
  const found: Finding[] = [];
  const max = isTest(path) ? MAX_TEST_LINES : MAX_LINES;
  if (source.lines > max) found.push(at(max + 1, `${source.lines} lines, ${max} are allowed: split it where it holds a second idea`));
  const name = posix.basename(path);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.tsx?$/.test(name)) found.push(at(1, "rename the file to kebab-case"));
  if (/^index\.tsx?$/.test(name)) found.push(at(1, "name the file after what it holds; index files become barrels"));
  for (const match of code.matchAll(/(?<![.\w$])export\s+default\b/g))
    found.push(at(lineAt(code, match.index), "export it by name instead of as the default"));
  for (const match of code.matchAll(/(?<![.\w$'"])(?:const\s+)?enum\s+\w+\s*\{/g))
    found.push(at(lineAt(code, match.index), "use a union of strings instead of an enum"));
  for (const match of code.matchAll(/^[ \t]*(?:export\s+)?(?:declare\s+)?namespace\s+\w/gm))
    found.push(at(lineAt(code, match.index), "use a module instead of a namespace"));
  for (const item of source.imports) {
    if (item.reexport !== undefined)
      found.push(at(item.line, `import ${JSON.stringify(item.from)} where it is used instead of passing it on (no barrels)`));
  }
  return found;
}

function checkImports(source: Source): Finding[] {
  const from = folderOf(source.path);
  return source.imports.flatMap((item): Finding[] => {
    const finding = (message: string): Finding[] => [{ path: source.path, line: item.line, message }];
    const target = resolveImport(source.path, item.from);
    if (target === undefined) return isTest(source.path) || from === undefined ? [] : checkLibrary(source.path, item).flatMap(finding);
    const to = folderOf(target);
    if (from === undefined || from === to) return [];
    if (to === undefined)
      return isTest(source.path) ? [] : finding(`a package must not import ${item.from}, which is not part of a package`);
    const allowed = MAY_IMPORT[from];
    if (allowed === undefined)
      return finding(`the folder ${from} is not in the table of scripts/shape/tables.ts: give it its place in the data's way`);
    // A test may look at what the code beside it may not: it still never imports against the layers of `shared`.
    if (isTest(source.path) && !from.startsWith("shared/")) return [];
    const hit = allowed.includes(to) || allowed.includes(to.slice(0, to.indexOf("/")));
    if (!hit)
      return finding(
        `${from} must not import ${to} (allowed: ${allowed.join(", ") || "nothing of ours"}): turn the direction round or pass it in`,
      );
    const typesOnly = TYPES_ONLY.find((row) => row.from === from && row.to === to);
    if (typesOnly && !item.typeOnly) return finding(`import only types of ${to} here: ${typesOnly.why}`);
    return [];
  });
}

function checkLibrary(path: string, item: Import): string[] {
  const row = Object.entries(LIBRARIES).find(([library]) => item.from === library || item.from.startsWith(`${library}/`));
  if (!row) return [];
  const [library, places] = row;
  const inside = path.slice("packages/".length);
  return places.some((place) => (place.endsWith("/") ? inside.startsWith(place) : inside === place))
    ? []
    : [`${library} may only be imported in ${places.join(", ") || "tests"}: use what wraps it`];
}

function checkAmbient(source: Source): Finding[] {
  const { path, code } = source;
  const test = isTest(path);
  if (!path.startsWith("packages/") && !test) return [];
  return BANS.flatMap((ban) => {
    if (test && (ban.what !== "a timer" || Object.keys(TIMERS_IN_TESTS_ALLOWED).some((folder) => path.startsWith(folder)))) return [];
    if (path in ban.allowed) return [];
    const instead = test ? "wait for an event or a fact (test/support)" : ban.instead;
    return [...code.matchAll(ban.pattern)].map((match) => ({
      path,
      line: lineAt(code, match.index),
      message: `${ban.what} is not allowed here: ${instead}`,
    }));
  });
}

/** The repository path that an import leads to, or undefined for a library. */
export function resolveImport(path: string, from: string): string | undefined {
  if (from.startsWith(".")) return posix.normalize(posix.join(posix.dirname(path), from));
  const own = from.match(/^fleetcron(-shared|-agent)?\/(.+)$/);
  if (!own || own[2] === "package.json") return undefined;
  return `packages/${own[1] === undefined ? "master" : own[1].slice(1)}/src/${own[2]}.ts`;
}

/** One finding per group of files that import each other's values in a circle. */
function findCycles(sources: readonly Source[]): Finding[] {
  const edges = new Map(sources.map((source) => [source.path, valueImports(source)]));
  const state = new Map<string, "open" | "done">();
  const found: Finding[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    if (state.get(path) === "done") return;
    if (state.get(path) === "open") {
      const circle = [...trail.slice(trail.indexOf(path)), path];
      const line = edges.get(trail.at(-1) ?? path)?.find((edge) => edge.to === path)?.line ?? 1;
      found.push({
        path: trail.at(-1) ?? path,
        line,
        message: `import cycle ${circle.map((step) => posix.basename(step)).join(" → ")}: move what both need into a file of its own`,
      });
      return;
    }
    state.set(path, "open");
    for (const edge of edges.get(path) ?? []) if (edges.has(edge.to)) visit(edge.to, [...trail, path]);
    state.set(path, "done");
  };
  for (const source of sources) visit(source.path, []);
  return found;
}

function valueImports(source: Source): { to: string; line: number }[] {
  return source.imports.flatMap((item) => {
    const to = item.typeOnly ? undefined : resolveImport(source.path, item.from);
    return to === undefined ? [] : [{ to, line: item.line }];
  });
}
