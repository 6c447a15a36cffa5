/** Which addresses messages may be sent to: public ones, and what `notifyAllow` names (shared/net/address-policy.ts judges them). */
import { AppError } from "fleetcron-shared/base/errors";
import { createAddressJudge, type LookUp } from "fleetcron-shared/net/address-policy";

export type AddressPolicy = {
  /** The addresses of `host` (a name or an address) that may be connected to; throws `channel/refused`, or `channel/failed` when there is none. */
  resolve(host: string): Promise<readonly string[]>;
};

export function createAddressPolicy(deps: { lookUp: LookUp }, allow: readonly string[]): AddressPolicy {
  const judge = createAddressJudge(deps, allow);
  return {
    async resolve(host) {
      const verdict = await judge.judge(host);
      if (verdict.kind === "allowed") return verdict.addresses;
      if (verdict.kind === "unknown") {
        const hint = "check the name, and the DNS of the master's host";
        throw new AppError("channel/failed", `the host name ${verdict.name} is not found`, { hint });
      }
      throw new AppError("channel/refused", `${verdict.is} is not a public address`, {
        hint: `if it is meant, let the masters send there: notifyAllow: [${verdict.addresses[0]}]`,
      });
    },
  };
}
