# Stops the agent, and tells what it leaves running. Given: prefix, dataDir, config, ctl, unit, how (refuse or end), purge (yes or no).
real=$(cd "$prefix/releases" 2>/dev/null && pwd -P) || real=$prefix/releases
spawners() { ls -l /proc/[0-9]*/exe 2>/dev/null | grep -cF -- "-> $real/"; }
# gone SECONDS: no process of this installation is left within that time.
gone() {
  rounds=0
  while [ "$(spawners)" -gt 0 ]; do
    [ "$rounds" -lt "$(($1 * 5))" ] || return 1
    sleep 0.2 2>/dev/null || sleep 1
    rounds=$((rounds + 1))
  done
}
count() {
  [ -f "$dataDir/journal.db" ] || { echo 0; return; }
  "$prefix/current/bin/node" --disable-warning=ExperimentalWarning -e '
    const { DatabaseSync } = require("node:sqlite");
    console.log(new DatabaseSync(process.argv[1]).prepare(`select count(*) n from ${process.argv[2]}`).get().n);
  ' "$dataDir/journal.db" "$1" 2>/dev/null || echo 0
}
end_all() {
  FLEETCRON_AGENT_CONFIG=$config "$prefix/current/bin/node" "$prefix/current/packages/fleetcron-agent/bin/fleetcron-agent.js" --end-executions
}

again() {
  case $was in
    unit) systemctl start fleetcron-agent.service >/dev/null 2>&1 ;;
    ctl) sh "$ctl" start >/dev/null 2>&1 </dev/null ;;
  esac
  [ "$was" = no ] || echo ", and the agent was started again"
}

was=no
if [ -f "$unit" ] && systemctl is-active fleetcron-agent.service >/dev/null 2>&1; then
  was=unit
  said=$(systemctl stop fleetcron-agent.service 2>&1) || fail "the service cannot be stopped: $said" "look at \`systemctl status fleetcron-agent\` on the host"
elif [ -f "$ctl" ]; then
  if sh "$ctl" status >/dev/null 2>&1 </dev/null; then was=ctl; fi
  said=$(sh "$ctl" stop 2>&1 </dev/null) || fail "the agent cannot be stopped: $said" "look at $prefix/log/agent.log on the host"
fi

if [ "$how" = end ]; then
  # The agent itself ends what it has left, so that the records tell it. Nothing is ended when nothing is left.
  ending=$prefix/run/ending.json
  if ! gone 2 || [ "$(count executions)" -gt 0 ]; then
    mkdir -p "$prefix/run"
    rm -f "$ending"
    FLEETCRON_AGENT_CONFIG=$config "$prefix/current/bin/node" "$prefix/current/packages/fleetcron-agent/bin/fleetcron-agent.js" \
      --stop-executions true --ready-file "$ending" >"$prefix/run/ending.log" 2>&1 </dev/null &
    child=$!
    rounds=0
    while [ ! -f "$ending" ] && kill -0 "$child" 2>/dev/null && [ "$rounds" -lt 100 ]; do
      sleep 0.2 2>/dev/null || sleep 1
      rounds=$((rounds + 1))
    done
    if [ -f "$ending" ]; then kill -TERM "$child" 2>/dev/null; else kill -KILL "$child" 2>/dev/null; fi
    wait "$child" 2>/dev/null
    # Without etcd: they are ended all the same, and the data folder keeps what is to be told.
    if ! gone 5; then end_all >/dev/null 2>&1 </dev/null; fi
    gone 15 || fail "executions do not end" "look at the processes below $real on the host"
  fi
elif ! gone 3 || [ "$(count executions)" -gt 0 ]; then
  executions=$(count executions)
  fail "$executions executions are running or waiting; nothing was removed$(again)" "drain the node first (fleetcron node drain NODE --wait), or end them with --stop-executions"
fi
outbox=$(count outbox)
if [ "$purge" = yes ] && [ "$outbox" -gt 0 ]; then
  fail "$outbox records are not in etcd yet, only in $dataDir; nothing was removed$(again)" "run it again when etcd has taken them, or without --purge"
fi
echo "outbox=$outbox"
