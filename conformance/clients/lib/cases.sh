# shellcheck shell=bash
# What is tried with every client. A case is a function `case_NAME`; it fails with a reason in WHY.
#
# A client is a file drivers/NAME.sh that defines
#   client_install            makes sure its programs are there (runs outside the sandbox, with network)
#   client_version            one line
#   client_start, client_stop its daemon, if it has one, with $PROXY as its mirror of docker.io and Docker Hub as the next host
#   client_empty              forgets every image and layer
#   client_reference NAME SUFFIX     how it names docker.io/library/NAME + SUFFIX on the way through Harbinger
#   client_pull REFERENCE ARCH
#   client_holds REFERENCE ARCH TOP MANIFEST CONFIG BLOBS   whether its store holds that image; else a reason in WHY
#   client_push REFERENCE TARGET ARCH   pushes what it has pulled to TARGET, a full reference
#   client_run REFERENCE      prints what `echo` in a container of it says
#   client_lacks CASE         prints why a case does not apply to it, or nothing
# and CLIENT_SKIPS, the names of images whose format it does not know.

CASES=(cold warm restart multi-arch digest run ranges prefix ns push fallback hub)
COLD_IMAGES=(oci docker many zstd big)

# Each blob of several images of both formats leaves the origin exactly once.
case_cold() {
  local line
  line=$(lines origin)
  pull_cold_images && served_once origin "$line" origin "${WANTED[@]}"
}

# What was pulled once can be pulled while the origin is away.
case_warm() {
  pull_cold_images || return
  stop origin
  local status=0
  empty_client && pull_cold_images || status=$?
  origin_start || return
  return "$status"
}

# ... and also after Harbinger was stopped and started meanwhile.
case_restart() {
  pull_cold_images || return
  stop origin
  stop harbinger
  local status=0
  { harbinger_resume && empty_client && pull_cold_images; } || status=$?
  origin_start || return
  return "$status"
}

# An index keeps its digest, and each platform gets its own image. The store is emptied in between: dockerd's keeps one platform
# of an index.
case_multi-arch() {
  local name arch
  for name in multi multi-docker; do
    for arch in "$ARCH" "$OTHER_ARCH"; do
      empty_client || return
      pull_and_check origin "$name" "$(client_reference "$name" :1)" "$arch" || return
    done
  done
}

# An image that was never asked for by tag.
case_digest() {
  pull_and_check origin digest "$(client_reference digest "@$(fact origin digest "$ARCH" top)")" "$ARCH"
}

# A container of what was pulled runs.
case_run() {
  local reference said
  reference=$(client_reference busybox :1)
  pull_and_check origin busybox "$reference" "$ARCH" || return
  said=$(client_run "$reference" 2>>"$LOGS/$CLIENT.log")
  [[ $said == "it runs" ]] || { WHY="the container said '$said'"; return 1; }
}

# Several ranges of one cold blob at the same time are still one transfer from the origin.
case_ranges() {
  local origin_line harbinger_line blobs
  origin_line=$(lines origin) harbinger_line=$(lines harbinger)
  pull_and_check origin ranges "$(client_reference ranges :1)" "$ARCH" || return
  served_once origin "$origin_line" origin ranges || return
  blobs=$(fact origin ranges "$ARCH" blobs)
  logged harbinger "$harbinger_line" "${blobs#*,}" 2 || { WHY="the client asked for its large blob at once, not in ranges"; return 1; }
}

# The upstream named in the path; both have an image of this name.
case_prefix() {
  pull_and_check origin twin "$PROXY/docker.io/library/twin:1" "$ARCH" && pull_and_check other twin "$PROXY/other.example/library/twin:1" "$ARCH"
}

# The upstream named by the client's `ns` parameter.
case_ns() {
  pull_and_check origin twin docker.io/library/twin:1 "$ARCH" && pull_and_check other twin registry.example:5000/library/twin:1 "$ARCH"
}

# What was pulled is pushed into a repository that lives in Harbinger, and comes back from there, with the origin away, into a store
# that was emptied: under the digest that it was pushed under, with the configuration that it had. A second tag brings no blob again,
# and a repository that mirrors the origin's takes nothing.
case_push() {
  local name=${WANTED[0]} reference target=$PROXY/local/pushed:1 harbinger_line facts top config blobs
  reference=$(client_reference "$name" :1)
  pull_and_check origin "$name" "$reference" "$ARCH" && push "$reference" "$target" || return
  facts=$(python3 "$HERE/pushed.py" "http://$PROXY" local/pushed 1) || { WHY="what was pushed cannot be read"; return 1; }
  read -r top config blobs <<<"$facts"
  [[ $config == "$(fact origin "$name" "$ARCH" config)" ]] || { WHY="another configuration was pushed"; return 1; }
  harbinger_line=$(lines harbinger)
  push "$reference" "$PROXY/local/pushed:2" || return
  logged harbinger "$harbinger_line" '"PUT","path":"/v2/local/pushed/manifests/2' || { WHY="the second tag was not pushed"; return 1; }
  ! since harbinger "$harbinger_line" | grep -qF '"PUT","path":"/v2/local/pushed/blobs/uploads/' || { WHY="blobs were pushed again"; return 1; }
  ! push "$reference" "$PROXY/docker.io/library/refused:1" || { WHY="a mirrored repository took a push"; return 1; }
  WHY=
  stop origin
  local status=0
  empty_client && echo "== pull $target" >>"$LOGS/$CLIENT.log" && {
    WHY="what was pushed does not come back"
    client_pull "$target" "$ARCH" >>"$LOGS/$CLIENT.log" 2>&1 &&
      client_holds "$target" "$ARCH" "$top" "$top" "$config" "$blobs" 2>>"$LOGS/$CLIENT.log"
  } || status=$?
  origin_start || return
  return "$status"
}

push() {
  echo "== push $1 to $2" >>"$LOGS/$CLIENT.log"
  client_push "$1" "$2" "$ARCH" >>"$LOGS/$CLIENT.log" 2>&1 || { WHY="push of $1 to $2 failed"; return 1; }
}

# An image that Harbinger's upstream does not have: its 404 sends the client on to Docker Hub.
case_fallback() {
  local content_line harbinger_line
  content_line=$(lines content) harbinger_line=$(lines harbinger)
  pull_and_check hub only-at-hub "$(client_reference only-at-hub :1)" "$ARCH" || return
  logged harbinger "$harbinger_line" only-at-hub || { WHY="Harbinger was not asked"; return 1; }
  served_once content "$content_line" hub only-at-hub
}

# Docker Hub behind Harbinger, which fetches the tokens and follows the redirects.
case_hub() {
  local hub_line content_line harbinger_line tokens_line blob
  stop harbinger
  harbinger_start_hub || return
  hub_line=$(lines hub) content_line=$(lines content) harbinger_line=$(lines harbinger) tokens_line=$(lines tokens)
  pull_and_check hub tokens "$(client_reference tokens :1)" "$ARCH" || return
  served_once hub "$hub_line" hub tokens && served_once content "$content_line" hub tokens || return
  logged tokens "$tokens_line" repository:library/tokens:pull || { WHY="no token was fetched"; return 1; }
  for blob in $(fact hub tokens "$ARCH" blobs | tr , ' '); do
    logged harbinger "$harbinger_line" "$blob" || { WHY="blob ${blob:7:12} did not pass through Harbinger"; return 1; }
  done
}

# pull_and_check SET NAME REFERENCE ARCH
pull_and_check() {
  local set=$1 name=$2 reference=$3 arch=$4
  echo "== pull $reference ($arch)" >>"$LOGS/$CLIENT.log"
  client_pull "$reference" "$arch" >>"$LOGS/$CLIENT.log" 2>&1 || { WHY="pull of $reference ($arch) failed"; return 1; }
  WHY="$reference ($arch) is not what was pushed"
  client_holds "$reference" "$arch" "$(fact "$set" "$name" "$arch" top)" "$(fact "$set" "$name" "$arch" manifest)" \
    "$(fact "$set" "$name" "$arch" config)" "$(fact "$set" "$name" "$arch" blobs)" 2>>"$LOGS/$CLIENT.log"
}

pull_cold_images() {
  local name
  for name in "${WANTED[@]}"; do
    pull_and_check origin "$name" "$(client_reference "$name" :1)" "$ARCH" || return
  done
}

empty_client() {
  client_empty >>"$LOGS/$CLIENT.log" 2>&1 || { WHY="the client's store could not be emptied"; return 1; }
}

# run_client CLIENT CASES...: all cases of one client, with a Harbinger of its own.
run_client() {
  CLIENT=$1
  shift
  unset -f client_install client_version client_start client_stop client_empty client_reference client_pull client_push client_holds client_run client_lacks
  CLIENT_SKIPS=()
  # shellcheck source=/dev/null
  source "$HERE/drivers/$CLIENT.sh"
  say "$CLIENT: $(client_version)"

  WANTED=()
  local name case reason hub_line
  for name in "${COLD_IMAGES[@]}"; do
    [[ " ${CLIENT_SKIPS[*]} " == *" $name "* ]] || WANTED+=("$name")
  done

  mkdir -p "$WORK/$CLIENT"
  if ! { harbinger_start_plain && client_start; }; then
    failed "$CLIENT" start "$WHY"
    show_logs harbinger "$CLIENT"
    set --
  fi
  for case in "$@"; do
    reason=$(client_lacks "$case")
    if [[ -n $reason ]]; then
      not_applicable "$CLIENT" "$case" "$reason"
      continue
    fi
    WHY=
    hub_line=$(lines hub)
    if ! "case_$case"; then
      failed "$CLIENT" "$case" "$WHY"
      show_logs "$CLIENT" harbinger origin hub content tokens
    elif [[ $case != fallback && $case != hub ]] && (($(lines hub) > hub_line)); then
      failed "$CLIENT" "$case" "the client went past Harbinger to Docker Hub"
      show_logs "$CLIENT" harbinger
    else
      passed "$CLIENT" "$case"
    fi
  done
  client_stop
  stop harbinger
  ((${#CLIENT_SKIPS[@]} == 0)) || REMARKS+=("$CLIENT: without the image(s) ${CLIENT_SKIPS[*]}, a format it does not know")
}
