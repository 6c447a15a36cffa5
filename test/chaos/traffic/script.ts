/**
 * What the commands of a chaos run do: they leave lines in a file of their agent, which is the only witness of what really ran. bash, because its clock
 * costs no process. A line is `word job due node execution attempt fence ms code run task`, `-` for what is not there.
 */

export type Body = {
  /** How long it takes, in tenths of a second. */
  readonly tenths?: number;
  /** Leaves a sign of life each tenth: for commands that may be ended by force, so that one knows until when they were there. */
  readonly beats?: boolean;
  /** Shell text that sets `code`. */
  readonly code?: string;
};

export function evidenceCommand(folder: string, { tenths = 0, beats = false, code = "code=0" }: Body = {}) {
  const script = `
say() {
  local t=\${EPOCHREALTIME//[!0-9]/}
  echo "$1 $FLEETCRON_GROUP/$FLEETCRON_JOB \${FLEETCRON_DUE:--} $FLEETCRON_NODE $FLEETCRON_EXECUTION $FLEETCRON_ATTEMPT \${FLEETCRON_FENCE:--} \${t:0:13} \${2:--} \${FLEETCRON_RUN:--} \${FLEETCRON_TASK:--}" >> ${folder}/$FLEETCRON_NODE
}
say begin
${tenths === 0 ? "" : beats ? `exec 9<> <(:); for ((i = 0; i < ${tenths}; i++)); do read -rt 0.1 -u 9; say beat; done` : `sleep ${tenths / 10}`}
${code}
say end $code
exit $code`;
  return { script, shell: ["/bin/bash", "-c"] } as const;
}

/** Fails about one time in `n`, by the execution's id: the same at each attempt. */
export const failsOneIn = (n: 2 | 4 | 8): string =>
  `case $FLEETCRON_EXECUTION in *[${{ 2: "02468ACEGJMPRTWY", 4: "048CGMRW", 8: "08GR" }[n]}]) code=3;; *) code=0;; esac`;

/** Fails until its n-th attempt. */
export const failsBefore = (attempt: number): string => `[ $FLEETCRON_ATTEMPT -ge ${attempt} ] && code=0 || code=7`;
