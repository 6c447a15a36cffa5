# Makes a release the one that runs. One script, so that it goes to its end when the connection is lost in the middle.
# Given: prefix, name, manager (systemd or ctl), start (yes or no), cron (yes or no), config, configText (empty: stays), setAside (yes or no), ctl, ctlText, unit, unitText.
release=$prefix/releases/$name
node=$release/bin/node
[ -f "$release/release.json" ] || fail "the release $release is gone" "run it again"
if [ -n "$configText" ]; then
  # What somebody has edited is set aside, not lost.
  [ "$setAside" = no ] || cp -p "$config" "$config.before" || fail "$config.before cannot be written" "look at the folder's owner and at the free space"
  put "$config" 600 "$configText"
fi
touch "$release"
ln -sfn "releases/$name" "$prefix/current.new.$$" &&
  "$node" -e 'fs.renameSync(process.argv[1], process.argv[2])' "$prefix/current.new.$$" "$prefix/current" ||
  fail "$prefix/current cannot be written" "look at the folder's owner and at the free space"
mkdir -p "$prefix/run" || fail "$prefix/run cannot be made" "look at the folder's owner"

# Removes the line of this installation from the crontab of this user.
without_line() { crontab -l 2>/dev/null | grep -vF "# fleetcron node install $prefix "; }

if [ "$manager" = systemd ]; then
  # One that was installed before systemd ran here.
  if [ -f "$ctl" ]; then
    sh "$ctl" stop >/dev/null 2>&1 </dev/null
    rm -f "$ctl"
    if command -v crontab >/dev/null 2>&1; then without_line | crontab - 2>/dev/null; fi
  fi
  put "$unit" 644 "$unitText"
  said=$(systemctl daemon-reload 2>&1) || fail "systemctl daemon-reload: $said" "look at \`systemctl status\` on the host"
  if [ "$start" = yes ]; then
    rm -f "$prefix/run/ready.json"
    said=$(systemctl enable fleetcron-agent.service 2>&1 && systemctl restart fleetcron-agent.service 2>&1) ||
      fail "the service cannot be started: $(printf '%s' "$said" | tr '\n' ' ')" "look at \`journalctl -u fleetcron-agent\` on the host"
  fi
else
  # The one that runs is stopped by the script that started it. What it runs goes on.
  [ "$start" = no ] || [ ! -f "$ctl" ] || sh "$ctl" stop >/dev/null 2>&1 </dev/null
  put "$ctl" 755 "$ctlText"
  if [ "$cron" = yes ]; then
    if (without_line; echo "@reboot $ctl start # fleetcron node install $prefix (node uninstall removes this line)") | crontab - 2>/dev/null; then echo "cron=yes"; fi
  fi
  if [ "$start" = yes ]; then
    rm -f "$prefix/run/ready.json"
    said=$(sh "$ctl" start 2>&1 </dev/null) || fail "the agent cannot be started: $said" "look at $prefix/log/agent.log on the host"
  fi
fi

# Old releases go, but for the last one and those that executions still come from.
real=$(cd "$prefix/releases" && pwd -P)
kept=0
for old in $(cd "$prefix/releases" && ls -t); do
  [ "$old" != "$name" ] && [ -f "$real/$old/release.json" ] || continue
  kept=$((kept + 1))
  [ "$kept" -gt 1 ] || continue
  ls -l /proc/[0-9]*/exe 2>/dev/null | grep -qF " $real/$old/" || rm -rf "${real:?}/$old"
done
exit 0
