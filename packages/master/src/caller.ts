/** Who asks through REST, and what they may: one role, in all groups or in some. */
import { AppError } from "fleetcron-shared/base/errors";
import { ROLES, type Role } from "fleetcron-shared/model/facts";

export type Caller = {
  readonly type: "token" | "user";
  /** Of the token or the user: what decisions, orders and the audit log are signed with. */
  readonly name: string;
  readonly role: Role;
  /** The only groups that are reached; undefined: all, and what belongs to the whole cluster. */
  readonly groups: readonly string[] | undefined;
  /** The session that was asked with, when it was none of a bearer token. */
  readonly session?: { readonly id: string; readonly hash: string; readonly csrf: string; readonly expiresAt: string };
};

/** One request, for everything that happens because of it. */
export type Asking = {
  readonly caller: Caller;
  /** Method and pattern of the route, such as `PUT /jobs/:group/:id`. */
  readonly request: string;
  readonly requestId: string;
  readonly remote: string;
};

export function hasRole(caller: Pick<Caller, "role">, role: Role): boolean {
  return ROLES.indexOf(caller.role) >= ROLES.indexOf(role);
}

export function reaches(caller: Pick<Caller, "groups">, group: string): boolean {
  return caller.groups === undefined || caller.groups.includes(group);
}

/** Throws `auth/denied`. */
export function needRole(caller: Caller, role: Role, what: string): void {
  if (hasRole(caller, role)) return;
  throw new AppError("auth/denied", `${what} needs the role ${role}, and ${caller.name} has the role ${caller.role}`, {
    hint: "an admin can make a token for it: `fleetcron token create`",
  });
}

/** Throws `auth/scope`; says nothing of what there is. */
export function needGroup(caller: Caller, group: string): void {
  if (reaches(caller, group)) return;
  throw new AppError("auth/scope", `${caller.name} reaches the groups ${caller.groups?.join(", ")} only, and not ${group}`, {
    hint: "use a token of that group, or one without groups",
  });
}

/** For what belongs to no group. Throws `auth/scope`. */
export function needCluster(caller: Caller, what: string): void {
  if (caller.groups === undefined) return;
  throw new AppError(
    "auth/scope",
    `${what} concerns the whole cluster, and ${caller.name} reaches the groups ${caller.groups.join(", ")} only`,
    {
      hint: "use a token without groups",
    },
  );
}
