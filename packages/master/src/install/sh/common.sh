# Stands before every script of an installation. Scripts come over standard input, so nothing of them is seen in `ps`.
set -u
LC_ALL=C
export LC_ALL
umask 022
echo "@@fleetcron@@"

# fail WHY TODO: ends the script; both are told to the person who installs.
fail() {
  printf '@why %s\n@todo %s\n' "$1" "$2" >&2
  exit 9
}

# put PATH MODE TEXT: a file, whole or not at all.
put() {
  mkdir -p "$(dirname "$1")" && (umask 077 && printf '%s' "$3" >"$1.new.$$") && chmod "$2" "$1.new.$$" && mv -f "$1.new.$$" "$1" ||
    fail "$1 cannot be written" "look at the folder's owner and at the free space"
}
