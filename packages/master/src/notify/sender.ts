/** The master's way out for notifications: `send` with this host's resolver, secrets and rules. */
import { lookup } from "node:dns/promises";
import type { Clock } from "fleetcron-shared/base/clock";
import type { ChannelSpec } from "fleetcron-shared/model/channel";
import type { Delivery } from "fleetcron-shared/model/notice";
import type { SecretSource } from "./secrets.ts";
import { type Sent, send } from "./send.ts";
import { createAddressPolicy } from "./target-addresses.ts";

/** Sends a delivery once; never throws. */
export type Sender = (spec: ChannelSpec, delivery: Delivery) => Promise<Sent>;

type SenderDeps = { readonly clock: Clock; readonly version: string; readonly env?: SecretSource["env"] };
type SenderConfig = { readonly notifyAllow: readonly string[]; readonly notifySecretsDir: string; readonly notifyTimeoutMs: number };

export function createSender({ clock, version, env = {} }: SenderDeps, config: SenderConfig): Sender {
  const lookUp = async (name: string) => (await lookup(name, { all: true })).map(({ address }) => address);
  const addresses = createAddressPolicy({ lookUp }, config.notifyAllow);
  const secrets = { env, secretsDir: config.notifySecretsDir };
  const { notifyTimeoutMs: timeoutMs } = config;
  return (spec, delivery) => send({ clock, version, addresses, secrets, timeoutMs }, spec, delivery);
}
