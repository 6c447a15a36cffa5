/**
 * What the ssh config says of a host: address, port, user, keys, jump hosts, known_hosts files. Nothing is executed: ProxyCommand, Match exec and the like are
 * refused for the hosts that they concern.
 */
import { isAbsolute, join } from "node:path";
import { isSshHost, isSshUser, parseSshTarget, type SshTarget } from "../model/runners/ssh-target.ts";
import { NOT_FOLLOWED, readConfigs } from "./config-files.ts";
import { type SshEnvironment, sshFolder, systemFolder } from "./environment.ts";
import { failed } from "./failure.ts";

/** Everything that a connection needs to know of a host. */
export type HostConfig = {
  /** As it was asked for: for people and for known_hosts written in a hurry. */
  readonly asked: string;
  /** What is connected to. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The name that known_hosts has it by. */
  readonly keyName: string;
  /** Key files of the config; undefined: the usual ones. */
  readonly identityFiles: readonly string[] | undefined;
  readonly identitiesOnly: boolean;
  /** Undefined: none. */
  readonly agentSocket: string | undefined;
  /** Files of known_hosts, the first is the user's own. */
  readonly knownHosts: readonly string[];
  readonly connectTimeoutMs: number | undefined;
  /** The hosts on the way, the first to connect to first. */
  readonly jumps: readonly HostConfig[];
};

const MAX_JUMPS = 8;

/** `target` is `[user@]host[:port]` or an alias. Reads the config files anew each time. Throws SshError `ssh/config`. */
export function resolveHost(environment: SshEnvironment, target: string): HostConfig {
  const parsed = parseSshTarget(target);
  if ("wrong" in parsed) throw failed("ssh/config", `${JSON.stringify(target)}: ${parsed.wrong}`);
  return resolve(environment, target, parsed, 0);
}

function resolve(environment: SshEnvironment, asked: string, target: SshTarget, depth: number): HostConfig {
  if (depth > MAX_JUMPS) throw failed("ssh/config", `${asked}: more than ${MAX_JUMPS} jump hosts; does one lead to another in a circle?`);
  const options = optionsOf(environment, target);
  const refuse = (option: string, why: string) => failed("ssh/config", `${asked}: the ssh config's ${option} for this host ${why}`);
  const proxyCommand = options.text("proxycommand");
  if (proxyCommand !== undefined && proxyCommand !== "none")
    throw refuse("ProxyCommand", "would run a program, which is never done; use ProxyJump");
  const notFollowed = options.text(NOT_FOLLOWED.toLowerCase());
  if (notFollowed !== undefined) throw failed("ssh/config", `${asked}: ${notFollowed}; this is not followed`);

  const user = target.user ?? options.text("user") ?? environment.user;
  if (!isSshUser(user)) throw refuse("User", `is no user name: ${JSON.stringify(user)}`);
  const port = target.port ?? Number(options.text("port") ?? 22);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refuse("Port", `is no port: ${options.text("port")}`);
  const tokens = { "%": "%", n: target.host, h: target.host, p: String(port), r: user, u: environment.user, d: environment.home };
  const host = expandTokens(options.text("hostname") ?? target.host, tokens, () => refuse("HostName", "has an unknown % token"));
  if (!isSshHost(host)) throw refuse("HostName", `is not the name or address of a host: ${JSON.stringify(host)}`);
  const file = (option: string, text: string) => {
    const path = expandTokens(text.replace(/^~(?=\/)/, environment.home), { ...tokens, h: host }, () =>
      refuse(option, "has an unknown % token"),
    );
    return isAbsolute(path) ? path : join(sshFolder(environment), path);
  };
  const identities = options.list("identityfile").filter((path) => path !== "none");
  const agent = options.text("identityagent");
  const agentSocket =
    agent === undefined || agent === "SSH_AUTH_SOCK"
      ? environment.agentSocket
      : agent === "none"
        ? undefined
        : file("IdentityAgent", agent);
  const userFiles = options.words("userknownhostsfile") ?? [join(sshFolder(environment), "known_hosts")];
  const systemFiles = options.words("globalknownhostsfile") ?? [join(systemFolder(environment), "ssh_known_hosts")];
  const timeout = Number(options.text("connecttimeout"));
  return {
    asked,
    host,
    port,
    user,
    keyName: (options.text("hostkeyalias") ?? host).toLowerCase(),
    identityFiles: identities.length === 0 ? undefined : identities.map((path) => file("IdentityFile", path)),
    identitiesOnly: options.text("identitiesonly")?.toLowerCase() === "yes",
    agentSocket,
    knownHosts: [...userFiles, ...systemFiles].filter((path) => path !== "none").map((path) => file("UserKnownHostsFile", path)),
    connectTimeoutMs: timeout > 0 ? timeout * 1000 : undefined,
    jumps: jumpsOf(environment, asked, options.text("proxyjump"), depth),
  };
}

/** The hosts of ProxyJump; how to get to the first of them is the first one's own affair. */
function jumpsOf(environment: SshEnvironment, asked: string, proxyJump: string | undefined, depth: number): HostConfig[] {
  if (proxyJump === undefined || proxyJump.toLowerCase() === "none") return [];
  const jumps = proxyJump.split(",").map((text) => {
    const name = text.trim().replace(/^ssh:\/\//, "");
    const target = parseSshTarget(name);
    if ("wrong" in target) throw failed("ssh/config", `${asked}: the ssh config's ProxyJump: ${target.wrong}`);
    return resolve(environment, name, target, depth + 1);
  });
  const [first, ...rest] = jumps;
  const all = [...(first?.jumps ?? []), ...(first === undefined ? [] : [first]), ...rest].map((jump) => ({ ...jump, jumps: [] }));
  if (all.length > MAX_JUMPS)
    throw failed("ssh/config", `${asked}: more than ${MAX_JUMPS} jump hosts; does one lead to another in a circle?`);
  return all;
}

type Options = { text(name: string): string | undefined; list(name: string): string[]; words(name: string): string[] | undefined };

function optionsOf(environment: SshEnvironment, target: SshTarget): Options {
  const user = target.user === undefined ? {} : { User: target.user };
  const computed: Record<string, string | string[]> = readConfigs(environment).compute(
    { Host: target.host, ...user },
    { ignoreCase: true, matchExec: false },
  );
  const list = (name: string) => [computed[name] ?? []].flat().filter((value) => value !== "");
  return {
    list,
    text: (name) => list(name)[0],
    words: (name) => {
      const words = list(name).flatMap((value) => value.split(/\s+/));
      return words.length === 0 ? undefined : words;
    },
  };
}

function expandTokens(text: string, tokens: Readonly<Record<string, string>>, unknown: () => Error): string {
  return text.replace(/%(.?)/g, (_, token: string) => {
    const value = tokens[token];
    if (value === undefined) throw unknown();
    return value;
  });
}
