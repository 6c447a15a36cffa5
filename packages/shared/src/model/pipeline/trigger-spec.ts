/**
 * What starts a pipeline by itself: its triggers as people write them and as etcd and REST hold them. The schema is trigger-schema.ts, what
 * fields mean together trigger-check.ts.
 */
import type { DstFold, DstGap, Misfire } from "../job-spec.ts";

/** A timer, with the words of a job's rule. */
export type TimerTrigger = {
  readonly timer: string;
  readonly timezone?: string;
  readonly from?: string;
  readonly until?: string;
  readonly dstGap?: DstGap;
  readonly dstFold?: DstFold;
  readonly misfire?: Misfire;
  readonly misfireWindow?: string;
};

/** Where each master finds a secret: never the secret itself. */
export type HookSecret = { readonly file: string } | { readonly env: string };

/** A webhook of a Git platform. */
export type HookTrigger = {
  readonly secret: HookSecret;
  /** Default: push. */
  readonly events?: readonly GitEventKind[];
  /** Globs, or regular expressions between slashes. Default: all. */
  readonly branches?: readonly string[];
  readonly tags?: readonly string[];
};

/** The end of a run of another pipeline. */
export type ChainTrigger = {
  /** `group/id`. */
  readonly after: string;
  /** Default: succeeded. */
  readonly on?: readonly ChainEnd[];
};

export const GIT_EVENTS = ["push", "tag"] as const;
export type GitEventKind = (typeof GIT_EVENTS)[number];
export const CHAIN_ENDS = ["succeeded", "failed", "cancelled"] as const;
export type ChainEnd = (typeof CHAIN_ENDS)[number];
export const HOOK_KINDS = ["gitlab", "github", "gitee"] as const;
export type HookKind = (typeof HOOK_KINDS)[number];
export const TRIGGER_KINDS = ["rule", ...HOOK_KINDS, "pipeline"] as const;
export type TriggerKind = (typeof TRIGGER_KINDS)[number];

/** Exactly one kind is there. */
export type TriggerSpec = {
  /** Unique in the pipeline. */
  readonly name: string;
  readonly rule?: TimerTrigger;
  readonly gitlab?: HookTrigger;
  readonly github?: HookTrigger;
  readonly gitee?: HookTrigger;
  readonly pipeline?: ChainTrigger;
  /** Values for params of the pipeline; `${name}` stands for a fact of the event. */
  readonly params?: Readonly<Record<string, string>>;
  /** Labels of the run; `${name}` as in params. */
  readonly labels?: Readonly<Record<string, string>>;
  /** It starts nothing. */
  readonly pause?: boolean;
};

export const TRIGGER_DEFAULTS = { events: ["push"], on: ["succeeded"], misfire: "once", misfireWindowMs: 3_600_000 } as const;

/** Facts that `${name}` can stand for. Those that an event does not have are empty. */
export const TRIGGER_FACTS = {
  rule: ["due"],
  git: ["event", "ref", "branch", "tag", "commit", "message", "author", "email", "repository", "url", "delivery"],
  /** Beside these: params and outputs of the other run. */
  pipeline: ["run", "pipeline", "state"],
} as const;

/** The kind that a checked trigger is of. */
export function triggerKind(trigger: TriggerSpec): TriggerKind {
  return TRIGGER_KINDS.find((kind) => trigger[kind] !== undefined) ?? "rule";
}

/** The webhook of a trigger, with its platform. */
export function hookOf(trigger: TriggerSpec): { readonly kind: HookKind; readonly hook: HookTrigger } | undefined {
  for (const kind of HOOK_KINDS) {
    const hook = trigger[kind];
    if (hook !== undefined) return { kind, hook };
  }
  return undefined;
}

/** What a run of it says of its origin: `github/push`. */
export function triggerLabel(trigger: TriggerSpec): string {
  return `${triggerKind(trigger)}/${trigger.name}`;
}
