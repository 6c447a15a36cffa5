/** Every fault there is, by name. */
import { CLOCK_FAULTS } from "./clock.ts";
import { DISK_FAULTS } from "./disk.ts";
import type { Fault } from "./fault.ts";
import { MEMBER_FAULTS } from "./members.ts";
import { NETWORK_FAULTS } from "./network.ts";
import { PROCESS_FAULTS } from "./processes.ts";

export const FAULTS: readonly Fault[] = [...PROCESS_FAULTS, ...NETWORK_FAULTS, ...CLOCK_FAULTS, ...DISK_FAULTS, ...MEMBER_FAULTS];
