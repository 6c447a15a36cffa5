# What is there already, and what there is room for. Given: prefix, config, ctl, unit, interpreter.
folder=$prefix
while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
echo "folder=$folder"
[ -w "$folder" ] && echo "writable=yes"
df -Pk "$folder" 2>/dev/null | tail -n 1 | while read -r _ _ _ free _; do echo "freeKib=$free"; done
[ -e "$interpreter" ] && echo "interpreter=yes"
for loader in /lib/ld-musl-*; do [ -e "$loader" ] && echo "musl=yes"; done
[ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 && echo "systemd=yes"
command -v crontab >/dev/null 2>&1 && echo "crontab=yes"
current=$(readlink "$prefix/current" 2>/dev/null) && echo "current=${current##*/}"
for release in "$prefix"/releases/*/release.json; do
  [ -f "$release" ] && release=${release%/release.json} && echo "release=${release##*/}"
done
if [ -f "$unit" ]; then
  echo "unit=$(sed -n 's/^# fleetcron node install //p' "$unit" | head -n 1)"
  systemctl is-active fleetcron-agent.service >/dev/null 2>&1 && echo "unitActive=yes"
fi
if [ -f "$ctl" ]; then
  echo "ctl=$(sed -n 's/^# fleetcron node install //p' "$ctl" | head -n 1)"
  sh "$ctl" status >/dev/null 2>&1 </dev/null && echo "ctlActive=yes"
fi
[ -f "$prefix/run/ready.json" ] && echo "ready=$(cat "$prefix/run/ready.json")"
if [ -f "$config" ]; then
  echo "config=yes"
  echo "@@config@@"
  cat "$config"
fi
exit 0
