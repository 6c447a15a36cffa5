# Starts, stops and watches the agent where no service manager does: start | stop | status. A stop leaves executions running.
prefix='@PREFIX@'
config='@CONFIG@'
run=$prefix/run
log=$prefix/log/agent.log

# birth PID: its start time, or nothing when it is gone: pids are used again.
birth() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}
# is_alive FILE: the process of a pid file lives.
is_alive() {
  [ -s "$1" ] || return 1
  read -r pid start <"$1" || return 1
  [ "$(birth "$pid")" = "$start" ]
}
note() { echo "$2 $(birth "$2")" >"$1.new" && mv -f "$1.new" "$1"; }
nap() { sleep 0.1 2>/dev/null || sleep 1; }
# end FILE: asks the process to end, and after 40 seconds makes it.
end() {
  is_alive "$1" || return 0
  kill -TERM "$pid" 2>/dev/null
  rounds=0
  while is_alive "$1"; do
    [ "$rounds" -lt 400 ] || kill -KILL "$pid" 2>/dev/null
    nap
    rounds=$((rounds + 1))
  done
}

case "${1:-}" in
  start)
    if is_alive "$run/keeper.pid"; then echo "the agent runs already"; exit 0; fi
    mkdir -p "$run" "$prefix/log" || exit 1
    chmod 700 "$prefix/log"
    # One whose keeper was killed.
    end "$run/agent.pid"
    rm -f "$run/ready.json" "$run/last-exit"
    [ "$(wc -c <"$log" 2>/dev/null || echo 0)" -le 8388608 ] || mv -f "$log" "$log.1"
    session=$(command -v setsid || echo nohup)
    "$session" sh "$0" keep >>"$log" 2>&1 </dev/null &
    rounds=0
    until is_alive "$run/keeper.pid"; do
      [ "$rounds" -lt 50 ] || { echo "it does not start; see $log"; exit 1; }
      nap
      rounds=$((rounds + 1))
    done
    echo "the agent is started"
    ;;
  keep)
    cd / || exit 1
    stopping=
    child=
    trap '' HUP
    trap 'stopping=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM INT
    note "$run/keeper.pid" "$$"
    while [ -z "$stopping" ]; do
      FLEETCRON_AGENT_CONFIG=$config "$prefix/current/bin/node" "$prefix/current/packages/fleetcron-agent/bin/fleetcron-agent.js" --ready-file "$run/ready.json" &
      child=$!
      note "$run/agent.pid" "$child"
      [ -z "$stopping" ] || kill -TERM "$child" 2>/dev/null
      wait "$child"
      code=$?
      # A signal ends `wait`, not the agent.
      while is_alive "$run/agent.pid"; do
        wait "$child"
        code=$?
      done
      child=
      rm -f "$run/agent.pid" "$run/ready.json"
      [ -z "$stopping" ] || break
      echo "$code" >"$run/last-exit"
      sleep 2 &
      wait $!
    done
    rm -f "$run/keeper.pid"
    ;;
  stop)
    end "$run/keeper.pid"
    end "$run/agent.pid"
    rm -f "$run/keeper.pid" "$run/agent.pid"
    echo "the agent is stopped"
    ;;
  status)
    if is_alive "$run/agent.pid"; then echo "running, pid $pid"
    elif is_alive "$run/keeper.pid"; then echo "starting"
    else echo "stopped"; exit 3; fi
    ;;
  *)
    echo "usage: $0 start|stop|status" >&2
    exit 2
    ;;
esac
