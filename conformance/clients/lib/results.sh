# shellcheck shell=bash
# What came out: one cell per client and case.

declare -A CELLS=()
declare -a REMARKS=()
PASSED=0
FAILED=0

passed() { # CLIENT CASE
  CELLS[$1/$2]=pass
  ((++PASSED))
  say "$1 $2: pass"
}

not_applicable() { # CLIENT CASE REASON
  CELLS[$1/$2]=n.a.
  REMARKS+=("$1 $2: n.a., $3")
}

failed() { # CLIENT CASE REASON
  CELLS[$1/$2]=FAIL
  REMARKS+=("$1 $2: FAIL, $3")
  ((++FAILED))
  say "$1 $2: FAIL, $3"
}

# The ends of the logs that a failure may be read from.
show_logs() {
  local name
  for name in "$@"; do
    [[ -s $LOGS/$name.log ]] || continue
    echo "---- $name.log"
    tail -n 10 "$LOGS/$name.log" | cut -c 1-400
  done >&2
}

# print_table CLIENTS... -- CASES...
print_table() {
  local clients=() case client
  while [[ $1 != -- ]]; do clients+=("$1"); shift; done
  shift
  printf '\n%-12s' case
  printf ' %-20s' "${clients[@]}"
  printf '\n'
  for case in "$@"; do
    printf '%-12s' "$case"
    for client in "${clients[@]}"; do printf ' %-20s' "${CELLS[$client/$case]:--}"; done
    printf '\n'
  done
  printf '\n'
  ((${#REMARKS[@]} == 0)) || printf '%s\n' "${REMARKS[@]}" ''
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
}
