/** Who takes part: five agents, two masters, three members of etcd, and what is special about some of them. */

export type Cast = {
  readonly agents: readonly string[];
  readonly masters: readonly string[];
  readonly members: readonly string[];
  /** Their clocks can be moved. */
  readonly clocked: readonly string[];
  /** Their data folders are small disks of their own. */
  readonly smallDisks: readonly string[];
};

export const CAST: Cast = {
  agents: ["a1", "a2", "a3", "a4", "a5"],
  masters: ["m1", "m2"],
  members: ["e1", "e2", "e3"],
  clocked: ["a4", "a5", "m2"],
  smallDisks: ["a2", "a3"],
};

export const hostsOf = (cast: Cast): string[] => [...cast.agents, ...cast.masters, ...cast.members];
