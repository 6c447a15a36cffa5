/** Whose eyes may see what: the one place where a stream of changes asks. */

/** Who asks. `groups` absent: all of them. */
export type Identity = { readonly groups?: readonly string[] | undefined };

/** `group` undefined: it belongs to the whole cluster; then `isOpen` says whether also those may read it who are limited to groups. */
export function mayRead(
  identity: Identity,
  { group, isOpen = false }: { readonly group: string | undefined; readonly isOpen?: boolean },
): boolean {
  return identity.groups === undefined || (group === undefined ? isOpen : identity.groups.includes(group));
}
