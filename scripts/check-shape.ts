/** `npm run shape`: holds the repository to its shape (import directions, cycles, sizes, ambient calls, names). Tables: shape/tables.ts. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkShape } from "./shape/rules.ts";
import { scan } from "./shape/scan.ts";

const root = join(import.meta.dirname, "..");
const paths = globSync(["packages/*/{src,web}/**/*.{ts,tsx}", "scripts/**/*.ts", "test/**/*.ts"], {
  cwd: root,
  exclude: ["**/node_modules/**", "**/dist/**"],
});
const findings = checkShape(paths.sort().map((path) => scan(path, readFileSync(join(root, path), "utf8"))));

for (const { path, line, message } of findings) console.log(`${path}:${line}: ${message}`);
console.log(
  findings.length === 0 ? `shape: ${paths.length} files are in order` : `shape: ${findings.length} to mend in ${paths.length} files`,
);
process.exitCode = findings.length === 0 ? 0 : 1;
