# The bundle comes on standard input as tar.gz, and becomes a release when it is complete and its agent can run. Given: prefix, name.
releases=$prefix/releases
mkdir -p "$releases" 2>/dev/null || fail "$releases cannot be made" "choose another folder with --prefix, or log in as another user"
find "$releases" -maxdepth 1 -name '.partial-*' -mmin +60 -exec rm -rf {} + 2>/dev/null
partial=$(mktemp -d "$releases/.partial-XXXXXX") || fail "$releases cannot be written" "look at its owner and at the free space"
trap 'rm -rf "$partial"' EXIT
trap 'exit 1' HUP INT TERM PIPE
chmod 755 "$partial"
{ gzip -dc | tar -xof - -C "$partial"; } 2>"$partial/.why"
why=$(head -c 300 "$partial/.why" | tr '\n' ' ')
rm -f "$partial/.why"
[ -f "$partial/release.json" ] || fail "the bundle did not arrive whole${why:+: $why}" "look at the free space of $releases and at the network, and run it again: nothing was changed"
said=$("$partial/bin/node" "$partial/packages/fleetcron-agent/bin/fleetcron-agent.js" --version 2>&1 </dev/null) ||
  fail "the agent cannot run here: $(printf '%s' "$said" | tr '\n' ' ' | head -c 400)" "Node.js 24 needs glibc 2.28 or later and a folder that is not mounted noexec; another Node.js can be given with --node-binary"
# Somebody else may have brought the same release meanwhile.
[ -f "$releases/$name/release.json" ] || { rm -rf "${releases:?}/$name" && mv "$partial" "$releases/$name"; } ||
  fail "$releases/$name cannot be made" "look at the folder's owner and at the free space"
echo "version=$said"
