/**
 * `policy.yaml`: what this host lets jobs do, whatever etcd says (docs/policy.md). Owns its form and whom it is trusted from: a file that
 * others could change is refused. An absent field restricts nothing, but for `networks`, which allows. Nothing here needs etcd.
 */
import { closeSync, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import { parseDuration } from "fleetcron-shared/base/duration";
import { AppError, asError, type Issue } from "fleetcron-shared/base/errors";
import { readYaml } from "fleetcron-shared/base/yaml-source";
import { checkShape, choice, expected, fields, flag, list, toIssue } from "fleetcron-shared/base/zod-issues";
import { absolutePath, durationField, ENV_NAME_PATTERN, pattern, regexText, userName } from "fleetcron-shared/model/job-fields";
import { isNetworkEntry } from "fleetcron-shared/net/address-policy";
import { z } from "zod";

const groupPattern = pattern("a job group", /^[a-z0-9*][a-z0-9._*-]{0,62}$/, "as in group/id; * stands for any text, as in team-*");
const envPattern = ENV_NAME_PATTERN.source.replace("[A-Za-z_]", "[A-Za-z_*]").replace("[A-Za-z0-9_]", "[A-Za-z0-9_*]");
const hostPattern = pattern(
  "a host pattern",
  /^[A-Za-z0-9_*:%][A-Za-z0-9_*.:%-]{0,252}$/,
  "a name or address without user and port; * stands for any text, as in *.db.example",
);
const namespacePattern = pattern("a namespace", /^[a-z0-9*][a-z0-9*-]{0,62}$/, "* stands for any text, as in team-*");
const networkHint = "private (all that are not public), an address, or a network such as 10.1.0.0/16";
const network = z
  .string({ error: expected("a network", networkHint) })
  .refine(isNetworkEntry, { error: expected("a network", networkHint) });
const year = 365 * 86_400_000;

const policySchema = fields({
  users: list(userName, "user names").exactOptional(),
  unixGroups: list(userName, "names of Unix groups").exactOptional(),
  jobGroups: list(groupPattern, "job groups").exactOptional(),
  runners: list(choice(["command", "ssh", "http", "kubernetes"]), "runners").exactOptional(),
  commands: list(absolutePath, "paths").exactOptional(),
  scripts: z
    .union([flag(), list(regexText, "regular expressions")], { error: expected("true, false or a list of regular expressions") })
    .exactOptional(),
  maxTimeout: durationField(1000, year).exactOptional(),
  secretFiles: list(absolutePath, "paths").exactOptional(),
  secretEnv: list(pattern("a variable name", new RegExp(envPattern), "* stands for any text"), "variable names").exactOptional(),
  networks: list(network, "networks").exactOptional(),
  sshHosts: list(hostPattern, "host patterns").exactOptional(),
  namespaces: list(namespacePattern, "namespaces").exactOptional(),
});

type Fields = z.output<typeof policySchema>;
export type PolicyField = keyof Fields;

export type Policy = Omit<Fields, "maxTimeout"> & {
  readonly maxTimeoutMs: number | undefined;
  /** Where a field stands, as `file:line (field)`. */
  readonly place: (field: PolicyField) => string;
};

/** The policy in a file's text; throws `config/invalid` with every issue. */
export function parsePolicy(text: string | Uint8Array, file: string): Policy {
  const { documents, issues: syntax } = readYaml(text, file);
  const [document, second] = documents;
  const issues: Issue[] = [...syntax];
  if (second !== undefined) issues.push({ file, line: second.lineOf([]), message: "the file holds more than one document" });
  const shape = checkShape<Fields>(policySchema, document?.value ?? {});
  const lineOf = (path: readonly (string | number)[]) => document?.lineOf(path) ?? 1;
  for (const issue of shape.issues ?? []) issues.push(toIssue(issue, [], { file, line: lineOf(issue.path) }));
  if (shape.issues === undefined && shape.value.scripts !== undefined && shape.value.commands === undefined) {
    const hint = "without it, argv may name a shell, and `scripts` restricts nothing";
    issues.push({ file, line: lineOf(["scripts"]), path: "scripts", message: "needs `commands`", hint });
  }
  if (shape.issues !== undefined || issues.length > 0) throw invalid(`the policy ${file} is wrong`, issues);
  const { maxTimeout, ...rest } = shape.value;
  return {
    ...rest,
    maxTimeoutMs: maxTimeout === undefined ? undefined : parseDuration(maxTimeout),
    place: (field) => `${file}:${lineOf([field])} (${field})`,
  };
}

/** Reads a policy file; undefined when there is none. Throws `config/invalid`, also when somebody else than root and `uid` could have written it. */
export function readPolicy(file: string, uid: number): Policy | undefined {
  let bytes: Uint8Array;
  try {
    const fd = openSync(file, "r");
    try {
      checkTrust(file, fstatSync(fd), uid);
      bytes = readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (thrown) {
    if (thrown instanceof AppError) throw thrown;
    const cause = asError(thrown) as NodeJS.ErrnoException;
    if (cause.code === "ENOENT") return undefined;
    throw invalid(`the policy ${file} cannot be read: ${cause.message}`, []);
  }
  return parsePolicy(bytes, file);
}

function checkTrust(file: string, stats: Stats, uid: number): void {
  if (!stats.isFile()) throw invalid(`the policy ${file} is not a file`, []);
  if (stats.uid !== 0 && stats.uid !== uid)
    throw invalid(
      `the policy ${file} belongs to uid ${stats.uid}; it must belong to root or to the agent's user`,
      [],
      `chown root ${file}`,
    );
  if ((stats.mode & 0o022) !== 0) throw invalid(`the policy ${file} can be written by others than its owner`, [], `chmod go-w ${file}`);
}

function invalid(message: string, issues: readonly Issue[], hint?: string): AppError {
  return new AppError("config/invalid", message, { issues, ...(hint === undefined ? {} : { hint }) });
}
