/** Whether the key that a server shows is the host's: known_hosts decides. */
import { failed, type SshError } from "./failure.ts";
import type { HostConfig } from "./host-config.ts";
import { algorithmsFor, type HostKey, hostKeyOf } from "./host-key.ts";
import { judge, linesFor, preferredTypes, type Verdict } from "./known-hosts.ts";
import { pinHostKey, readKnownHosts } from "./known-hosts-file.ts";

export type HostKeyPolicy = "strict" | "accept-new";

export type HostKeyCheck = {
  readonly algorithms: ReturnType<typeof algorithmsFor>;
  /** Undefined: it is the host. Called again when the connection changes its keys. */
  check(blob: Buffer): SshError | undefined;
};

/** Reads the files of known hosts. Throws SshError `ssh/config`. */
export function openHostKeyCheck(config: HostConfig, policy: HostKeyPolicy, files = config.knownHosts): HostKeyCheck {
  const lines = linesFor(readKnownHosts(files), config.keyName, config.port);
  let accepted: string | undefined;
  return {
    algorithms: algorithmsFor(preferredTypes(lines)),
    check(blob) {
      const key = hostKeyOf(blob);
      if (key.base64 === accepted) return undefined;
      let verdict = judge(lines, key);
      const [own] = files;
      if (verdict.type === "unknown" && policy === "accept-new" && own !== undefined)
        verdict = pinHostKey(own, config.keyName, config.port, key);
      if (verdict.type !== "known") return refusal(config, key, verdict, files);
      accepted = key.base64;
      return undefined;
    },
  };
}

function refusal(config: HostConfig, key: HostKey, verdict: Exclude<Verdict, { type: "known" }>, files: readonly string[]): SshError {
  const where = `${config.keyName} port ${config.port}`;
  switch (verdict.type) {
    case "unknown":
      return failed("ssh/hostKeyUnknown", `${where}: its ${key.type} key ${key.fingerprint} is in none of ${files.join(", ")}`);
    case "changed": {
      const { known, file, line } = verdict;
      const other = known.type === key.type ? "" : `, a ${known.type} key`;
      return failed(
        "ssh/hostKeyChanged",
        `${where}: it shows the ${key.type} key ${key.fingerprint}, but ${file}:${line} has ${known.fingerprint}${other}`,
      );
    }
    case "revoked":
      return failed(
        "ssh/hostKeyRevoked",
        `${where}: its ${key.type} key ${key.fingerprint} is marked @revoked in ${verdict.file}:${verdict.line}`,
      );
    case "certAuthority":
      return failed(
        "ssh/hostCertificate",
        `${where}: ${verdict.file}:${verdict.line} knows it by a certificate authority only; its ${key.type} key is ${key.fingerprint}`,
      );
  }
}
