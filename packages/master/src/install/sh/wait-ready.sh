# Waits until the agent says that it is ready. Given: prefix, manager, ctl, seconds.
ready=$prefix/run/ready.json
last_words() {
  if [ "$manager" = systemd ]; then journalctl -u fleetcron-agent.service -n 12 -o cat --no-pager 2>/dev/null
  else tail -n 12 "$prefix/log/agent.log" 2>/dev/null; fi
}
# Settings that are wrong or a node id that is taken do not mend themselves: exit codes 2 and 4.
is_hopeless() {
  if [ "$manager" = systemd ]; then
    systemctl show fleetcron-agent.service -p ExecMainStatus -p NRestarts 2>/dev/null | tr '\n' ' ' | grep -Eq 'ExecMainStatus=[24] NRestarts=[1-9]|NRestarts=[1-9][0-9]* ExecMainStatus=[24]'
  else
    case "$(cat "$prefix/run/last-exit" 2>/dev/null)" in 2 | 4) return 0 ;; esac
    return 1
  fi
}
rounds=0
while [ "$rounds" -lt "$((seconds * 5))" ]; do
  if [ -f "$ready" ]; then
    echo "ready=$(cat "$ready")"
    exit 0
  fi
  if is_hopeless; then break; fi
  sleep 0.2 2>/dev/null || { sleep 1; rounds=$((rounds + 4)); }
  rounds=$((rounds + 1))
done
fail "the agent was started and does not get ready; it says: $(last_words | tr '\n' ' ' | tail -c 900)" "mend what it says, such as the address of etcd as seen from the host"
