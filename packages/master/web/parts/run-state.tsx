/** The states of runs and tasks with their tone. */
import { Badge, type Tone } from "./small.tsx";

const TONES: Readonly<Record<string, Tone>> = {
  succeeded: "good",
  failed: "bad",
  cancelled: "warn",
  active: "busy",
  creating: "busy",
  scheduling: "busy",
  cancelling: "warn",
  waitingAudit: "warn",
  waitingConfirm: "warn",
};

export function RunState({ state }: { state: string }) {
  return <Badge tone={TONES[state] ?? "calm"}>{state}</Badge>;
}
