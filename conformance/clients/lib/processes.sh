# shellcheck shell=bash
# Processes of the run, by name: their output goes to $LOGS/NAME.log.

declare -A PIDS=()

say() { printf '%s\n' "-- $*" >&2; }

# start NAME COMMAND...
start() {
  local name=$1
  shift
  echo "== $*" >>"$LOGS/$name.log"
  "$@" >>"$LOGS/$name.log" 2>&1 </dev/null &
  PIDS[$name]=$!
}

# stop NAME: asks it to end, insists after ten seconds.
stop() {
  local name=$1 pid=${PIDS[$1]:-} _
  [[ -n $pid ]] || return 0
  unset "PIDS[$name]"
  kill "$pid" 2>/dev/null
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  return 0
}

stop_all() {
  local name
  for name in "${!PIDS[@]}"; do stop "$name"; done
}

# until_ok NAME COMMAND...: repeats COMMAND until it succeeds, at most 20 seconds and only while the process NAME lives.
until_ok() {
  local name=$1
  shift
  local _
  for _ in $(seq 200); do
    "$@" >/dev/null 2>&1 && return
    kill -0 "${PIDS[$name]}" 2>/dev/null || break
    sleep 0.1
  done
  WHY="$name did not come up"
  return 1
}

# answers URL: whether an HTTP server answers there, whatever it says.
answers() { curl --silent --max-time 5 --output /dev/null "$1"; }

# lines NAME: how many lines its log has now.
lines() {
  local log=$LOGS/$1.log
  [[ -e $log ]] && wc -l <"$log" || echo 0
}

# since NAME LINE: its log from there on.
since() { tail -n "+$(($2 + 1))" "$LOGS/$1.log" 2>/dev/null; }

# logged NAME LINE TEXT [TIMES]: whether TEXT stands in at least that many lines since then, or does so within three seconds: logs
# may be written later than answers.
logged() {
  local _
  for _ in $(seq 30); do
    (($(since "$1" "$2" | grep -cF "$3") >= ${4:-1})) && return
    sleep 0.1
  done
  return 1
}
