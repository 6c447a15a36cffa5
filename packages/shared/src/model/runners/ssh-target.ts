/** `[user@]host[:port]`, as written in a job, on the command line or as a jump host. Pure; nothing of ssh's config is looked up here. */

export type SshTarget = {
  readonly user?: string;
  /** A name, an address (IPv6 without its brackets) or an alias of the ssh config. */
  readonly host: string;
  readonly port?: number;
};

const HOST = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/;
const IPV6 = /^[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,32})?$/;
// Windows domains (DOM\user) and addresses as user names are in use.
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.@+\\$-]{0,127}$/;

/** The parts of a target, or why it is none. Nothing that a program could take for an option gets through. */
export function parseSshTarget(text: string): SshTarget | { readonly wrong: string } {
  const at = text.lastIndexOf("@");
  const user = at === -1 ? undefined : text.slice(0, at);
  if (user !== undefined && !isSshUser(user)) return { wrong: `${quoted(user)} is not a user name` };
  const rest = text.slice(at + 1);
  const bracket = /^\[([^\]]*)\](?::(.*))?$/.exec(rest);
  // A bare IPv6 address has no port: nobody could tell it from the address.
  const isBareIpv6 = bracket === null && rest.split(":").length > 2;
  const colon = bracket === null && !isBareIpv6 ? rest.indexOf(":") : -1;
  const host = bracket === null ? (colon === -1 ? rest : rest.slice(0, colon)) : (bracket[1] ?? "");
  const portText = bracket === null ? (colon === -1 ? undefined : rest.slice(colon + 1)) : bracket[2];
  if (host.startsWith("-")) return { wrong: `the host ${quoted(host)} begins with a dash, as an option does` };
  if (!isSshHost(host)) return { wrong: host === "" ? "the host is missing" : `${quoted(host)} is not the name or address of a host` };
  if (portText === undefined) return { ...(user === undefined ? {} : { user }), host };
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0;
  if (port < 1 || port > 65_535) return { wrong: `${quoted(portText)} is not a port (1 to 65535)` };
  return { ...(user === undefined ? {} : { user }), host, port };
}

/** Whether a name or address (without brackets) can be connected to and can stand in known_hosts. */
export function isSshHost(host: string): boolean {
  return HOST.test(host) || (host.includes(":") && IPV6.test(host));
}

export function isSshUser(user: string): boolean {
  return USER.test(user);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
