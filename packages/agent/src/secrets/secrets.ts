/**
 * The secrets of jobs on this node: their values for the process's environment, and the maskers that keep them out of all else. The values of an
 * attempt are kept beside its log, encrypted for this node alone, so that they are masked after a restart of the agent too, and after they were
 * changed; who removes the log, or has masked it, removes them. Boxes come from `boxes/<node>/`. Etcd away: those last seen.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { asError } from "fleetcron-shared/base/errors";
import type { Job } from "fleetcron-shared/model/job";
import type { SecretSource } from "fleetcron-shared/model/job-spec";
import { mayUseSecret, type SecretBox, secretRef } from "fleetcron-shared/model/secret";
import { type KeyPair, openBox, sealBox } from "fleetcron-shared/model/secret-box";
import type { MirrorDeps } from "fleetcron-shared/store/mirror";
import { openView } from "fleetcron-shared/store/view";
import { decode } from "fleetcron-shared/wire/codec";
import type { Keys } from "fleetcron-shared/wire/keys";
import { createMasker, type Masker, PLAIN, WITHHOLD } from "./masker.ts";
import { needlesOf } from "./needles.ts";
import { type Found, readAgentVariable, readSecretFile, usable } from "./sources.ts";

/** The variables for the process, and what keeps them out of everything that is shown. */
export type Resolved = { readonly env: Readonly<Record<string, string>>; readonly masker: Masker };
type SecretJob = Pick<Job, "group" | "secrets">;

export type Secrets = {
  /** The boxes that etcd holds for this node have been read once. */
  readonly synced: Promise<void>;
  /** Which secrets of the job cannot be had on this node, and what to do; undefined when all can. */
  refusal(job: SecretJob): string | undefined;
  /** The values, which are kept for `maskerOf` as `<attemptPath>.secrets`; or why not. */
  resolve(job: SecretJob, attemptPath: string): Resolved | { readonly refusal: string };
  /** The masker of an attempt that was begun with `resolve`, as long as its `.secrets` file is there. Whoever knows its job saves the reading when there is none. */
  maskerOf(attemptPath: string, job?: Pick<Job, "secrets">): Masker;
  close(): Promise<void>;
};

/** `env` is the agent's own environment. */
export function openSecrets(
  deps: MirrorDeps & { readonly keys: Keys; readonly env: Readonly<Record<string, string | undefined>> },
  options: { readonly nodeId: string; readonly key: KeyPair },
): Secrets {
  const { keys, env } = deps;
  const { nodeId, key } = options;
  const boxes = openView<SecretBox>(deps, { prefix: keys.boxesOf(nodeId), decode: (kv) => decode<SecretBox>(kv.key, kv.value) });

  function lookUp(job: SecretJob, source: SecretSource): Found {
    if (source.file !== undefined) return readSecretFile(source.file);
    if (source.env !== undefined) return readAgentVariable(env, source.env);
    const ref = secretRef(source.secret ?? "", job.group);
    const secret = `${ref.group}/${ref.name}`;
    if (!mayUseSecret(ref, job.group)) return { problem: `${secret} is for jobs of the group ${ref.group}` };
    const box = boxes.get(keys.box(nodeId, ref.group, ref.name));
    const again = `\`fleetcron secret set ${secret}\` encrypts it for the nodes that it is meant for`;
    if (box === undefined) return { problem: `this node has not been given ${secret}; ${again}` };
    const value = openBox(box, key, { secret, node: nodeId });
    if (value === undefined) return { problem: `${secret} was encrypted for another key than this node has now; ${again}` };
    return usable(value, secret);
  }

  function valuesOf(job: SecretJob): { env: Record<string, string> } | { refusal: string } {
    const found = Object.entries(job.secrets).map(([name, source]) => ({ name, ...lookUp(job, source) }));
    const problems = found.flatMap((one) => ("problem" in one ? [`secrets.${one.name}: ${one.problem}`] : []));
    if (problems.length > 0) return { refusal: problems.join("; ") };
    return { env: Object.fromEntries(found.flatMap((one) => ("value" in one ? [[one.name, one.value]] : []))) };
  }

  const place = (attemptPath: string) => ({ secret: "attempt", node: nodeId, version: basename(attemptPath) });

  return {
    synced: boxes.synced,
    refusal(job) {
      const values = valuesOf(job);
      return "refusal" in values ? values.refusal : undefined;
    },
    resolve(job, attemptPath) {
      if (Object.keys(job.secrets).length === 0) return { env: {}, masker: PLAIN };
      const values = valuesOf(job);
      if ("refusal" in values) return values;
      const texts = Object.values(values.env);
      try {
        const box = sealBox(JSON.stringify(texts), key.publicKey, place(attemptPath));
        writeFileSync(`${attemptPath}.secrets`, JSON.stringify(box), { mode: 0o600 });
      } catch (thrown) {
        return { refusal: `what has to be masked cannot be kept in the data folder: ${asError(thrown).message}` };
      }
      return { env: values.env, masker: createMasker(needlesOf(texts)) };
    },
    maskerOf(attemptPath, job) {
      if (job !== undefined && Object.keys(job.secrets).length === 0) return PLAIN;
      try {
        const box = JSON.parse(readFileSync(`${attemptPath}.secrets`, "utf8")) as SecretBox;
        const texts = openBox(box, key, place(attemptPath));
        return texts === undefined ? WITHHOLD : createMasker(needlesOf(JSON.parse(texts) as string[]));
      } catch (thrown) {
        return (thrown as NodeJS.ErrnoException).code === "ENOENT" ? PLAIN : WITHHOLD;
      }
    },
    close: () => boxes.close(),
  };
}
