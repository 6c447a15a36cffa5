/**
 * The programs that run on the host, in POSIX sh (dash, bash, busybox): text only, put together in wrapper.ts. They come over standard input, so `ps` shows none
 * of them. `FC_*` are variables; `@<nonce> …` on standard error is what they tell the agent.
 *
 * A session's folder, `<base>/fleetcron-<uid>/<execution>-<attempt>` (0700), made by mkdir: who makes it, starts the command; nobody else ever does.
 *     keeper  pid, start time and boot of the keeper: the command's parent, which waits for it and writes `status`
 *     pid     pid and start time of the command, the leader of its own session
 *     out     what the command prints; err: its standard error where that is told apart
 *     live    a pipe that the keeper holds open: whoever reads it learns at once that the keeper has ended
 *     status  how it ended: two values of `wait`, whether the deadline ended it, and the shell's word for it
 *     never   the agent gave up before the command began: it must not begin any more
 */

/** What all of them share. */
export const COMMON = `
say() { printf '@%s %s\\n' "$FC_N" "$*" >&2; }
FC_UID=$(id -u)
FC_BOOT=; { read -r FC_BOOT </proc/sys/kernel/random/boot_id; } 2>/dev/null
FC_SS=; command -v setsid >/dev/null 2>&1 && FC_SS=setsid
FC_TIMEOUT=; timeout 1 true >/dev/null 2>&1 && FC_TIMEOUT=1
ticks() {
  FC_T=; { read -r FC_L <"/proc/$1/stat"; } 2>/dev/null || return 0
  set -- \${FC_L##*) }
  FC_T=\${20}
}
safe() {
  [ -d "$1" ] && [ ! -h "$1" ] || return 1
  set -- $(ls -ldn "$1" 2>/dev/null)
  [ "$3" = "$FC_UID" ] || return 1
  case $1 in drwx------*) return 0 ;; esac
  return 1
}
locate() {
  for FC_B in $FC_BASES; do
    FC_D=$FC_B/fleetcron-$FC_UID/$FC_ID
    [ -d "$FC_D" ] && safe "$FC_B/fleetcron-$FC_UID" && return 0
  done
  return 1
}
claim() {
  FC_WHY=
  for FC_B in $FC_BASES; do
    FC_P=$FC_B/fleetcron-$FC_UID
    mkdir -m 700 "$FC_P" 2>/dev/null
    if ! safe "$FC_P"; then FC_WHY="$FC_WHY $FC_P is not a folder of mode 0700 of this user;"; continue; fi
    FC_D=$FC_P/$FC_ID
    mkdir -m 700 "$FC_D" 2>/dev/null && { : >"$FC_D/out"; } 2>/dev/null && return 0
    [ -e "$FC_D/out" ] || [ -e "$FC_D/never" ] && return 1
    rmdir "$FC_D" 2>/dev/null
    FC_WHY="$FC_WHY $FC_D cannot be made or written to;"
  done
  return 2
}
lives() {
  [ -s "$FC_D/keeper" ] || return 1
  read -r FC_KP FC_KT FC_KB <"$FC_D/keeper"
  [ "$FC_KB" = "$FC_BOOT" ] && kill -0 "$FC_KP" 2>/dev/null || return 1
  ticks "$FC_KP"
  [ "$FC_T" = "$FC_KT" ]
}
nap() {
  if [ -z "$FC_TIMEOUT" ]; then sleep 1
  elif [ -n "$FC_LIVE" ]; then timeout "$1" cat <&8 >/dev/null 2>&1
  else timeout "$1" cat "$FC_D/live" >/dev/null 2>&1 || [ -p "$FC_D/live" ] || sleep 1
  fi
}
`;

/** Waits for the command and writes how it ended. Its variables come by environment, the command's text in FC_CMD. */
export const KEEPER = `
umask 077
trap : HUP TERM
ticks $$
printf '%s %s %s\\n' $$ "$FC_T" "$FC_BOOT" >"$FC_D/keeper.new" && mv "$FC_D/keeper.new" "$FC_D/keeper"
FC_RS=; env --default-signal=INT,QUIT true 2>/dev/null && FC_RS='env --default-signal=INT,QUIT'
FC_IN=/dev/null; [ -e "$FC_D/stdin" ] && FC_IN=$FC_D/stdin
: >"$FC_D/jobs"
exec >>"$FC_D/out" 2>>"$FC_D/\${FC_ERR:-out}"
trap 'jobs >>"$FC_D/jobs" 2>/dev/null' CHLD
$FC_SS $FC_RS $FC_SH -c 'eval "$(cat <&3)"' 3<<FC_END <"$FC_IN" 7>&- &
$FC_CMD
FC_END
FC_C=$!
exec >/dev/null 2>&1
while :; do
  wait $FC_C; FC_ST=$?
  FC_LAST=
  while read -r FC_L; do case $FC_L in \\[*) FC_LAST=$FC_L ;; esac; done <"$FC_D/jobs"
  case $FC_LAST in '' | *Running* | *Stopped*) kill -0 $FC_C 2>/dev/null && continue ;; esac
  break
done
trap - CHLD
wait $FC_C; FC_ST2=$?
FC_DL=0; [ -e "$FC_D/deadline" ] && FC_DL=1
printf '%s %s %s\\n%s\\n' "$FC_ST" "$FC_ST2" "$FC_DL" "$FC_LAST" >"$FC_D/status.new" && mv "$FC_D/status.new" "$FC_D/status"
`;

/** The first thing that the command's own shell does: pid and start time are known before it becomes the command. */
export const NOTE_PID = `exec 3<&-
FC_T=; { read -r FC_L <"/proc/$$/stat"; } 2>/dev/null && { set -- \${FC_L##*) }; FC_T=\${20}; }
printf '%s %s\\n' $$ "$FC_T" >"$FC_D/pid"`;

/** The tree of a command: its session, its descendants, and whoever carries its mark in the environment. */
export const TREE = `
members() {
  FC_M=' '; FC_P=; FC_PT=; FC_ALL=
  [ -s "$FC_D/pid" ] && read -r FC_P FC_PT <"$FC_D/pid"
  if [ -n "$FC_P" ] && [ -e "/proc/$FC_P" ]; then ticks "$FC_P"; [ "$FC_T" = "$FC_PT" ] || FC_P=; fi
  if [ -r /proc/self/stat ]; then
    for FC_F in /proc/[0-9]*/stat; do
      { read -r FC_L <"$FC_F"; } 2>/dev/null || continue
      FC_Q=\${FC_L%% *}
      set -- \${FC_L##*) }
      case $1 in Z | X) continue ;; esac
      FC_ALL="$FC_ALL $FC_Q:$2"
      if [ -n "$FC_P" ] && { [ "$4" = "$FC_P" ] || [ "$FC_Q" = "$FC_P" ]; }; then FC_M="$FC_M$FC_Q "; fi
    done
    for FC_F in $(grep -lF "FLEETCRON_REMOTE=/$FC_ID/" /proc/[0-9]*/environ 2>/dev/null); do
      FC_Q=\${FC_F#/proc/}; FC_Q=\${FC_Q%/environ}
      case $FC_ALL in *" $FC_Q:"*) case $FC_M in *" $FC_Q "*) ;; *) FC_M="$FC_M$FC_Q " ;; esac ;; esac
    done
  else
    FC_ALL=$(ps -A -o pid= -o ppid= -o pgid= | while read -r FC_Q FC_PP FC_G; do
      printf ' %s:%s' "$FC_Q" "$FC_PP"; [ "$FC_G" = "$FC_P" ] && printf ' %s:%s' "$FC_Q" "$FC_P"; done)
    [ -n "$FC_P" ] && kill -0 "$FC_P" 2>/dev/null && FC_M=" $FC_P "
    [ -n "$FC_P" ] && FC_M="$FC_M@$FC_P "
  fi
  FC_MORE=1
  while [ -n "$FC_MORE" ]; do
    FC_MORE=
    for FC_E in $FC_ALL; do
      FC_Q=\${FC_E%%:*}
      case $FC_M in *" $FC_Q "*) continue ;; esac
      case $FC_M in *" \${FC_E#*:} "* | *"@\${FC_E#*:} "*) FC_M="$FC_M$FC_Q "; FC_MORE=1 ;; esac
    done
  done
  FC_LIST=
  for FC_Q in $FC_M; do case $FC_Q in @*) ;; *) FC_LIST="$FC_LIST $FC_Q" ;; esac; done
}
signal_tree() { members; for FC_Q in $FC_LIST; do kill "-$1" "$FC_Q" 2>/dev/null; done; }
kill_tree() {
  FC_I=0
  while [ $FC_I -lt 80 ]; do
    signal_tree KILL
    [ -z "$FC_LIST" ] && break
    FC_I=$((FC_I + 1))
    sleep 0.05 2>/dev/null || sleep 1
  done
}
`;

/** Ends the tree when the time is over, whether anybody is connected or not. FC_SECONDS, FC_GRACE. */
export const WATCHDOG = `
trap : HUP TERM
FC_LIVE=1; FC_I=0
if [ -n "$FC_TIMEOUT" ]; then nap "$FC_SECONDS"
else while [ $FC_I -lt "$FC_SECONDS" ] && [ ! -e "$FC_D/status" ] && [ -d "$FC_D" ]; do sleep 1; FC_I=$((FC_I + 1)); done
fi
[ -d "$FC_D" ] && [ ! -e "$FC_D/status" ] || exit 0
: >"$FC_D/deadline"
signal_tree TERM
FC_I=0
while [ $FC_I -lt "$FC_GRACE" ]; do
  members; [ -z "$FC_LIST" ] && exit 0
  sleep 1; FC_I=$((FC_I + 1))
done
kill_tree
`;

/** Streams the output from an offset to standard output, and tells the end. */
export const FOLLOW = `
follow() {
  exec 4<"$FC_D/out" 5>&2 6>&1
  [ "$1" = 0 ] || dd bs=1 skip="$1" count=0 <&4 >/dev/null 2>&1
  FC_FINE=; timeout 0.01 true >/dev/null 2>&1 && FC_FINE=1
  FC_PP=; [ -d "/proc/$PPID" ] && FC_PP=/proc/$PPID
  FC_STEPS='0.02 0.05 0.1 0.2 0.4 0.8'; FC_LEFT=$FC_STEPS; FC_TOLD=; FC_I=0; FC_GONE=
  printf '@%s out\\n' "$FC_N"
  while :; do
    FC_FIN=
    if [ -e "$FC_D/status" ]; then FC_FIN=1
    elif lives; then :
    elif [ -e "$FC_D/status" ]; then FC_FIN=1
    elif [ -s "$FC_D/keeper" ] || [ $FC_I -gt 15 ]; then FC_FIN=1 FC_GONE=session
    fi
    if [ -z "$FC_TOLD" ] && [ -s "$FC_D/pid" ]; then read -r FC_P FC_PT <"$FC_D/pid"; say pid "$FC_P"; FC_TOLD=1; fi
    FC_GOT=$( { dd bs=65536 <&4 >&6; } 2>&1) || exit 1
    case $FC_GOT in 0+0*) ;; *) FC_LEFT=$FC_STEPS FC_I=0 ;; esac
    [ -n "$FC_FIN" ] && break
    [ -n "$FC_PP" ] && [ ! -d "$FC_PP" ] && exit 1
    FC_S=\${FC_LEFT%% *}
    case $FC_LEFT in *' '*) FC_LEFT=\${FC_LEFT#* } ;; *) FC_LEFT= FC_S=1 FC_I=$((FC_I + 1)) ;; esac
    [ -n "$FC_FINE" ] || FC_S=1
    [ $((FC_I % 20)) -eq 19 ] && say .
    nap "$FC_S"
  done
  if [ -n "$FC_GONE" ]; then
    [ -s "$FC_D/keeper" ] && [ "$FC_KB" != "$FC_BOOT" ] && FC_GONE=reboot
    say gone "$FC_GONE"; exit 0
  fi
  for FC_F in result err; do
    [ -s "$FC_D/$FC_F" ] || continue
    FC_MAX=65537; [ $FC_F = err ] && FC_MAX=1048576
    FC_S=$(wc -c <"$FC_D/$FC_F"); FC_S=$((FC_S)); [ $FC_S -le $FC_MAX ] || FC_S=$FC_MAX
    dd bs=$FC_S count=1 <"$FC_D/$FC_F" >"$FC_D/part" 2>/dev/null || continue
    say "$FC_F" $FC_S
    cat "$FC_D/part" >&5
  done
  [ -e "$FC_D/refused" ] && say refused
  FC_S=$(wc -c <"$FC_D/out")
  { read -r FC_ST; read -r FC_L; } <"$FC_D/status"
  say end "$FC_ST $((FC_S)) $FC_L"
}
`;

/** Makes the folder and starts keeper and watchdog, or finds that somebody has done so; then follows. */
export const START = `
FC_UMASK=$(umask); umask 077
FC_HOME=$(pwd)
if locate; then FC_R=1; else claim; FC_R=$?; fi
[ $FC_R -eq 2 ] && { say cannot "$FC_WHY"; exit 0; }
if [ $FC_R -eq 0 ]; then
  if ! { [ -z "$FC_STDIN" ] || printf '%s' "$FC_STDIN" >"$FC_D/stdin"; } || ! mkfifo "$FC_D/live"; then
    say cannot "$FC_D cannot be written to"; : >"$FC_D/never"; exit 0
  fi
  exec 7<>"$FC_D/live" 8<"$FC_D/live"
  FC_LC=\${LC_ALL+set}; FC_LCWAS=\${LC_ALL-}
  export FC_D FC_N FC_UMASK FC_HOME FC_LC FC_LCWAS
  printf '%s' "$FC_KEEPER" | LC_ALL=C $FC_SS $FC_SH -c 'eval "$(cat)"' 8<&- >/dev/null 2>&1 &
  [ -n "$FC_WATCH" ] && { printf '%s' "$FC_WATCH" | LC_ALL=C $FC_SS $FC_SH -c 'eval "$(cat)"' 7>&- >/dev/null 2>&1 & }
  exec 7>&-
  FC_LIVE=1
  (
    find "$FC_D/.." ! -name .. -prune -type d -mtime +2 2>/dev/null | while read -r FC_D; do lives || rm -rf "$FC_D"; done
  ) </dev/null >/dev/null 2>&1 8<&- &
fi
LC_ALL=C; export LC_ALL
[ -e "$FC_D/never" ] && { say none; exit 0; }
say begun "$FC_D"
follow 0
`;

/** Goes on with a session. Not there: its place is taken, so that a start that is still on its way cannot begin it any more. */
export const GO_ON = `
umask 077
LC_ALL=C; export LC_ALL
if ! locate; then claim && : >"$FC_D/never"; fi
[ -e "$FC_D/out" ] && [ ! -e "$FC_D/never" ] || { say none; exit 0; }
say begun "$FC_D"
follow "$FC_OFFSET"
`;

export const KILL = `
LC_ALL=C; export LC_ALL
locate || { say none; exit 0; }
FC_I=0
while [ ! -s "$FC_D/pid" ] && [ ! -e "$FC_D/status" ] && [ $FC_I -lt 20 ]; do sleep 0.1 2>/dev/null || sleep 1; FC_I=$((FC_I + 1)); done
if [ "$FC_SIGNAL" = KILL ]; then kill_tree; else signal_tree "$FC_SIGNAL"; fi
say signalled "$FC_LIST"
`;

export const REMOVE = `
locate || { say none; exit 0; }
if [ -e "$FC_D/status" ] || [ -e "$FC_D/never" ] || ! lives; then rm -rf "$FC_D"; fi
say removed
`;
