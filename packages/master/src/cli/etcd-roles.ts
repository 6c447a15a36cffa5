/** `fleetcron etcd-roles`: least-privilege users of etcd, as commands for etcdctl or made at once. */
import { AppError } from "fleetcron-shared/base/errors";
import type { EtcdUser } from "fleetcron-shared/store/etcd-auth";
import { createKeys } from "fleetcron-shared/wire/keys";
import { agentRole, type EtcdRole, masterRole } from "fleetcron-shared/wire/permissions";
import { parseId } from "./arguments.ts";
import type { Context } from "./context.ts";
import { printValue } from "./output.ts";

export type EtcdRolesOptions = {
  readonly masters: readonly string[];
  readonly agent?: readonly string[];
  readonly prefix: string;
  readonly apply?: boolean;
  readonly etcd?: readonly string[];
  readonly etcdCa?: string;
  readonly etcdCert?: string;
  readonly etcdKey?: string;
  readonly etcdUser?: string;
  readonly etcdPasswordFile?: string;
};

export async function etcdRoles(context: Context, options: EtcdRolesOptions): Promise<void> {
  const users = usersOf(options);
  const format = context.options().output ?? "table";
  if (options.apply !== true) {
    if (format === "json" || format === "yaml") return printValue(context, { users }, format);
    return context.io.out(script(users));
  }
  const done = await apply(context, options, users);
  if (format === "json" || format === "yaml") await printValue(context, { done }, format);
  else context.io.out(`${done.join("\n")}\n`);
}

function usersOf({ masters, agent = [], prefix }: EtcdRolesOptions): EtcdUser[] {
  const keys = createKeys(prefix);
  const users = [
    ...masters.map((name) => ({ name: checkName(name), role: masterRole(keys) })),
    ...agent.map((text) => {
      const [node = "", name = node] = text.split("=");
      return { name: checkName(name), role: agentRole(keys, parseId(node, "a node")) };
    }),
  ];
  const names = users.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new AppError("input/usage", `${twice} is named twice: one user would have the roles of two`, {
      hint: "give each its own certificate",
    });
  }
  return users;
}

function checkName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:@-]{0,252}$/.test(name) && name !== "root") return name;
  throw new AppError("input/usage", `"${name}" cannot be the name of an etcd user of Fleetcron`, {
    hint: "it is the common name of the client's certificate, of letters, digits and ._:@-, and not root",
  });
}

/** All names are of a few safe characters: nothing needs quoting. */
function script(users: readonly EtcdUser[]): string {
  const roles = [...new Map(users.map(({ role }) => [role.name, role])).values()];
  const lines = [
    "# Run as etcd's user root, once for the cluster. `fleetcron etcd-roles --apply` does the same.",
    "# etcd must ask for client certificates (--client-cert-auth): the user is the certificate's common name.",
    "set -e",
    "export ETCDCTL_API=3",
    ...roles.flatMap(roleLines),
    ...users.flatMap(({ name, role }) => [`etcdctl user add ${name} --no-password`, `etcdctl user grant-role ${name} ${role.name}`]),
    "# The first time, at the end:",
    "# etcdctl user add root --no-password && etcdctl user grant-role root root && etcdctl auth enable",
  ];
  return `${lines.join("\n")}\n`;
}

function roleLines({ name, permissions }: EtcdRole): string[] {
  const grant = ({ type, key, prefix }: EtcdRole["permissions"][number]) =>
    `etcdctl role grant-permission ${name} ${type} ${prefix ? "--prefix=true " : ""}${key}`;
  return [`etcdctl role add ${name}`, ...permissions.map(grant)];
}

async function apply({ io, clock }: Context, options: EtcdRolesOptions, users: readonly EtcdUser[]): Promise<string[]> {
  const { etcd = ["http://127.0.0.1:2379"], etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile } = options;
  const [{ applyEtcdRoles }, { etcdOptionsOf }, { readFileSync }, { resolve }] = await Promise.all([
    import("fleetcron-shared/store/etcd-auth"),
    import("fleetcron-shared/store/etcd-options"),
    import("node:fs"),
    import("node:path"),
  ]);
  const at = (file: string) => resolve(io.cwd, file);
  const settings = {
    etcd,
    ...(etcdCa === undefined ? {} : { etcdCa: at(etcdCa) }),
    ...(etcdCert === undefined ? {} : { etcdCert: at(etcdCert) }),
    ...(etcdKey === undefined ? {} : { etcdKey: at(etcdKey) }),
    ...(etcdUser === undefined ? {} : { etcdUser }),
    ...(etcdPasswordFile === undefined ? {} : { etcdPassword: readFileSync(at(etcdPasswordFile), "utf8").trim() }),
  };
  if (etcdCert === undefined && etcdUser === undefined) {
    throw new AppError("input/usage", "--apply needs the credentials of etcd's user root", {
      hint: "give --etcd-cert and --etcd-key of a certificate with the common name root, or --etcd-user root --etcd-password-file FILE",
    });
  }
  return applyEtcdRoles({ clock }, etcdOptionsOf(settings), { users, enable: etcdCert !== undefined });
}
