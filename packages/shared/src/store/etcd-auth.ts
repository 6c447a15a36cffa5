/**
 * Makes roles and users of etcd, as its user root. Each step may be repeated: what is there already is left, permissions of a role are made what they should be.
 * Authentication is switched on last, when root can still log in. Etcd away: fails with coded errors; run it again.
 */
import { Etcd3 } from "etcd3";
import type { Clock } from "../base/clock.ts";
import { AppError, asError } from "../base/errors.ts";
import type { EtcdRole } from "../wire/permissions.ts";
import { classifyEtcdError, toAppError } from "./etcd-errors.ts";
import { type EtcdOptions, normalizeEndpoint, readCredentials } from "./etcd-options.ts";
import { prefixEnd } from "./kv.ts";

export type EtcdUser = { readonly name: string; readonly role: EtcdRole };
/** `noPassword`: the users are known by the common names of their certificates. */
export type ApplyRoles = { readonly users: readonly EtcdUser[]; readonly enable: boolean };

const TIMEOUT_MS = 5000;

/** Says what was done, line by line. Throws `etcd/…`, `config/invalid`. */
export async function applyEtcdRoles(deps: { clock: Clock }, options: EtcdOptions, wanted: ApplyRoles): Promise<string[]> {
  const [first = ""] = options.endpoints;
  const address = normalizeEndpoint(first, options.tls !== undefined);
  const credentials = readCredentials(options);
  const client = new Etcd3({
    hosts: [address],
    ...(credentials === undefined ? {} : { credentials }),
    ...(options.user === undefined ? {} : { auth: { username: options.user, password: options.password ?? "" } }),
    defaultCallOptions: () => ({ deadline: deps.clock.now() + TIMEOUT_MS }),
  });
  const done: string[] = [];
  /** False when it was there before. */
  async function make(what: string, run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
      done.push(`${what}: made`);
    } catch (error) {
      if (!/already exist|already granted|already has/i.test(asError(error).message))
        throw toAppError(classifyEtcdError(error, address), "read");
      done.push(`${what}: there already`);
    }
  }
  const { auth } = client;
  try {
    for (const role of new Map(wanted.users.map((user) => [user.role.name, user.role])).values()) {
      await make(`role ${role.name}`, () => auth.roleAdd({ name: role.name }));
      await setPermissions(auth, role);
      done.push(`role ${role.name}: ${role.permissions.length} permissions`);
    }
    for (const { name, role } of wanted.users) {
      await make(`user ${name}`, () =>
        auth.userAdd({ name, password: "", options: { no_password: true } } as Parameters<typeof auth.userAdd>[0]),
      );
      await auth.userGrantRole({ user: name, role: role.name });
    }
    if (wanted.enable) {
      await make("role root", () => auth.roleAdd({ name: "root" }));
      await make("user root", () =>
        auth.userAdd({ name: "root", password: "", options: { no_password: true } } as Parameters<typeof auth.userAdd>[0]),
      );
      await auth.userGrantRole({ user: "root", role: "root" });
      await auth.authEnable();
      done.push("authentication: on");
    }
    return done;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw toAppError(classifyEtcdError(error, address), "read");
  } finally {
    client.close();
  }
}

/** Adds what is missing and takes away what should not be there. */
async function setPermissions(auth: Etcd3["auth"], role: EtcdRole): Promise<void> {
  const nameOf = (type: string, key: string, end: string) => JSON.stringify([type.toLowerCase(), key, end]);
  const wanted = new Map(
    role.permissions.map(({ type, key, prefix }) => {
      const end = prefix ? prefixEnd(key) : "";
      return [nameOf(type, key, end), { type, key, end }];
    }),
  );
  const { perm } = await auth.roleGet({ role: role.name });
  const there = perm.map(({ permType, key, range_end }) => ({ type: String(permType), key: key.toString(), end: range_end.toString() }));
  for (const { type, key, end } of there) {
    if (wanted.has(nameOf(type, key, end))) continue;
    await auth.roleRevokePermission({ role: role.name, key: Buffer.from(key), range_end: Buffer.from(end) });
  }
  for (const { type, key, end } of wanted.values()) {
    const permType = type === "read" ? "Read" : "Readwrite";
    await auth.roleGrantPermission({ name: role.name, perm: { permType, key: Buffer.from(key), range_end: Buffer.from(end) } });
  }
}
