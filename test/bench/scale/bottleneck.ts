/** What holds a phase back, from what each part used meanwhile. Pure. */

export type Usage = {
  /** Cores' worth of CPU of each part: 1 is one core all the time. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly cores: number;
  /** Parts that compute in one thread: they cannot use more than one core. */
  readonly singleThreaded: readonly string[];
  /** What is left to wait for when nothing is out of CPU. */
  readonly else: string;
};

/** Measured CPU of a busy thread seldom reaches a whole core. */
const BUSY_THREAD = 0.8;
const BUSY_MACHINE = 0.85;

export function bottleneck({ cpu, cores, singleThreaded, else: otherwise }: Usage): string {
  const parts = Object.entries(cpu).sort(([, a], [, b]) => b - a);
  const thread = parts.find(([name, used]) => singleThreaded.includes(name) && used >= BUSY_THREAD);
  const total = parts.reduce((sum, [, used]) => sum + used, 0);
  if (thread !== undefined) return `${thread[0]}: its one thread (${thread[1].toFixed(2)} of a core)`;
  if (total >= BUSY_MACHINE * cores)
    return `the cores of this machine (${parts.map(([name, used]) => `${name} ${used.toFixed(2)}`).join(", ")})`;
  return otherwise;
}
