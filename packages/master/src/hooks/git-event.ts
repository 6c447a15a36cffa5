/** What a Git platform tells in a delivery, in the same words for all of them. Pure. Whatever is not there is empty: payloads are not ours. */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { GitEventKind, HookKind } from "fleetcron-shared/model/pipeline/trigger-spec";
import { headerOf } from "./verify.ts";

export type GitEvent = {
  readonly event: GitEventKind;
  readonly ref: string;
  /** One of both is empty. */
  readonly branch: string;
  readonly tag: string;
  readonly commit: string;
  readonly message: string;
  readonly author: string;
  readonly email: string;
  readonly repository: string;
  /** To clone from, by HTTP. */
  readonly url: string;
  /** The same for a delivery that is repeated. */
  readonly delivery: string;
};

/** `ignored`: it starts nothing, and why. */
export type ReadEvent = { readonly event: GitEvent; readonly ignored?: undefined } | { readonly ignored: string };

const MAX_REF = 500;
const NO_COMMIT = /^0*$/;

export function readGitEvent(kind: HookKind, headers: IncomingHttpHeaders, payload: unknown): ReadEvent {
  const name = nameOf(kind, headers, payload);
  if (!PUSHES[kind].includes(name)) return { ignored: `the event "${name.slice(0, 60)}" is not about branches or tags` };
  const ref = text(payload, "ref");
  const [, place, short] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? [];
  if (short === undefined || ref.length > MAX_REF) return { ignored: `the ref "${ref.slice(0, 60)}" is no branch and no tag` };
  const after = text(payload, "after");
  if (at(payload, "deleted") === true || NO_COMMIT.test(after)) return { ignored: `${ref} was deleted` };
  const head = headCommit(payload);
  // A tag with a message is an object of its own; what is built is the commit behind it.
  const commit = text(payload, "checkout_sha") || text(head, "id") || after;
  const repository = at(payload, "project") ?? at(payload, "repository");
  const isTag = place === "tags";
  return {
    event: {
      event: isTag ? "tag" : "push",
      ref,
      branch: isTag ? "" : short,
      tag: isTag ? short : "",
      commit,
      message: text(head, "message") || text(payload, "message"),
      author: text(head, "author", "name") || text(payload, "user_name") || text(payload, "pusher", "name"),
      email: text(head, "author", "email") || text(payload, "user_email") || text(payload, "pusher", "email"),
      repository: text(repository, "path_with_namespace") || text(repository, "full_name"),
      url: text(repository, "git_http_url") || text(repository, "clone_url"),
      delivery: deliveryOf(kind, headers, payload),
    },
  };
}

/** The events that tell of branches and tags, by the words of each platform. */
const PUSHES: Readonly<Record<HookKind, readonly string[]>> = {
  gitlab: ["push", "tag_push"],
  github: ["push"],
  gitee: ["push_hooks", "tag_push_hooks"],
};

function nameOf(kind: HookKind, headers: IncomingHttpHeaders, payload: unknown): string {
  if (kind === "github") return headerOf(headers, "x-github-event");
  return kind === "gitlab" ? text(payload, "object_kind") : text(payload, "hook_name");
}

/** GitLab lists commits, oldest first; the others name the newest. */
function headCommit(payload: unknown): unknown {
  const head = at(payload, "head_commit");
  if (head !== undefined && head !== null) return head;
  const commits = at(payload, "commits");
  if (!Array.isArray(commits)) return undefined;
  const sha = text(payload, "checkout_sha");
  return commits.find((commit) => text(commit, "id") === sha) ?? commits.at(-1);
}

/** Gitee gives its deliveries no id: the same change of the same ref is the same delivery. */
function deliveryOf(kind: HookKind, headers: IncomingHttpHeaders, payload: unknown): string {
  if (kind === "github") return headerOf(headers, "x-github-delivery") || changeOf(payload);
  if (kind === "gitee") return changeOf(payload);
  const key = headerOf(headers, "idempotency-key");
  if (key !== "") return key;
  const event = headerOf(headers, "x-gitlab-event-uuid");
  // Events that follow from each other share this id.
  return event === "" ? changeOf(payload) : `${event}:${changeOf(payload)}`;
}

function changeOf(payload: unknown): string {
  const parts = [text(payload, "hook_id"), text(payload, "ref"), text(payload, "before"), text(payload, "after")];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

function text(value: unknown, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === "string" ? found.replaceAll("\0", "") : typeof found === "number" ? String(found) : "";
}
