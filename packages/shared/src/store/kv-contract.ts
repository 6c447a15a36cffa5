/**
 * What every adapter of the store port must do, as cases that a test file runs against it. Each case gets a prefix of its own; on a
 * shared store they run one after another, because the compaction case is felt by all.
 */
import { READ_CASES, TXN_CASES } from "./kv-contract-data.ts";
import { CLOSE_CASES, LEASE_CASES, WATCH_CASES } from "./kv-contract-live.ts";
import type { ContractCase } from "./kv-contract-tools.ts";

export const KV_CONTRACT: readonly ContractCase[] = [...READ_CASES, ...TXN_CASES, ...WATCH_CASES, ...LEASE_CASES, ...CLOSE_CASES];
