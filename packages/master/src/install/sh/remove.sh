# Removes what an installation made, and nothing else. Given: prefix, config, removeConfig (yes or no), ctl, unit, purge (folder or nothing).
if [ -n "$purge" ] && [ -d "$purge" ]; then
  [ -f "$purge/journal.db" ] || fail "$purge is not the data folder of an agent (it has no journal.db); nothing was removed" "run it again without --purge, and remove the folder by hand if it may go"
fi
if [ -f "$unit" ] && grep -q "^# fleetcron node install " "$unit"; then
  systemctl disable fleetcron-agent.service >/dev/null 2>&1
  rm -f "$unit"
  systemctl daemon-reload >/dev/null 2>&1
fi
if command -v crontab >/dev/null 2>&1 && crontab -l 2>/dev/null | grep -qF "# fleetcron node install $prefix "; then
  crontab -l 2>/dev/null | grep -vF "# fleetcron node install $prefix " | crontab - || fail "the line in the crontab cannot be removed" "remove it with \`crontab -e\`"
fi
if [ "$removeConfig" = yes ]; then
  rm -f "$config"
  rmdir "$(dirname "$config")" 2>/dev/null
fi
rm -rf "${prefix:?}/releases" "${prefix:?}/run" "${prefix:?}/log" && rm -f "$prefix/current" "$prefix"/current.new.* "$ctl" ||
  fail "$prefix cannot be removed" "look at its owner"
if [ -n "$purge" ]; then rm -rf "${purge:?}" || fail "$purge cannot be removed" "look at its owner"; fi
rmdir "$prefix" 2>/dev/null
exit 0
