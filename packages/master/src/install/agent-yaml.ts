/**
 * The agent's configuration as an installation writes it. Its first line carries a hash of the rest: what somebody has edited since is theirs, and is not written
 * over.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentSettings } from "fleetcron-agent/config";
import { loadConfig } from "fleetcron-shared/base/config-file";
import { AppError } from "fleetcron-shared/base/errors";
import { parseDocument, stringify } from "yaml";

export type AgentWishes = {
  readonly etcd: readonly string[];
  readonly nodeId?: string;
  readonly labels: Readonly<Record<string, string>>;
};

/** For `checkAgentConfig`: settings that stand in no file, so a line of it would say nothing. */
export const OPTIONS = "the options";

const HEAD = "# Written by `fleetcron node install`";
const HEAD_LINE = new RegExp(`^${HEAD} \\(([0-9a-f]{10})\\)[^\\n]*\\n`);

/** From options. */
export function configFromWishes({ etcd, nodeId, labels }: AgentWishes, dataDir: string): string {
  return sealed(
    stringify({
      etcd: [...etcd],
      ...(nodeId === undefined ? {} : { nodeId }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      dataDir,
    }),
  );
}

/** From a file that somebody has written; a data folder is added when it names none. */
export function configFromFile(text: string, dataDir: string): string {
  const document = parseDocument(text);
  if (document.errors.length === 0 && !document.has("dataDir")) document.set("dataDir", dataDir);
  return sealed(document.errors.length === 0 ? document.toString({ lineWidth: 0 }) : text);
}

/** Whether it was written by an installation and not touched since. */
export function isOurs(text: string): boolean {
  const head = HEAD_LINE.exec(text);
  return head !== null && head[1] === hashOf(text.slice(head[0].length));
}

/** Checks it as the agent will. Throws `config/invalid`; lines are those of `shownAs`. */
export function checkAgentConfig(text: string, shownAs: string): { readonly dataDir: string; readonly etcd: readonly string[] } {
  const folder = mkdtempSync(join(tmpdir(), "fleetcron-install-"));
  const file = join(folder, "agent.yaml");
  try {
    writeFileSync(file, text, { mode: 0o600 });
    const { dataDir, etcd } = loadConfig({
      schema: agentSettings,
      file,
      env: {},
      flags: {},
      envPrefix: "FLEETCRON_AGENT_",
      program: "fleetcron-agent",
    });
    return { dataDir, etcd };
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    const issues = thrown.issues.map(({ line, ...issue }) => {
      if (issue.file !== file) return line === undefined ? issue : { ...issue, line };
      return line === undefined || shownAs === OPTIONS ? { ...issue, file: shownAs } : { ...issue, file: shownAs, line };
    });
    throw new AppError(thrown.code, thrown.message.replaceAll(file, shownAs), { issues });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The data folder that a configuration on a host names. */
export function dataDirOf(text: string | undefined, otherwise: string): string {
  const value: unknown = text === undefined ? undefined : parseDocument(text).toJS();
  const named = typeof value === "object" && value !== null && "dataDir" in value ? value.dataDir : undefined;
  return typeof named === "string" ? named : otherwise;
}

function sealed(body: string): string {
  return `${HEAD} (${hashOf(body)}). Edit it as you like: it is then left alone by later installations.\n${body}`;
}

function hashOf(body: string): string {
  return createHash("sha256").update(body).digest("hex").slice(0, 10);
}
