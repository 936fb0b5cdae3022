# shellcheck shell=bash
# The registries behind Harbinger: three of Debian's docker-registry, each with its own storage and access log.
#
#   origin  plain HTTP, what the upstream `docker.io` means in most cases
#   other   plain HTTP, a second upstream
#   hub     stands in for Docker Hub: TLS, the real host names, tokens from a service of its own, blobs from a host of their own

ORIGIN=127.0.0.1:5000
OTHER=127.0.0.1:5001
HUB=https://registry-1.docker.io
HUB_TOKENS=https://auth.docker.io
HUB_CONTENT=https://production.cloudflare.docker.com

# registry_config NAME STORAGE ADDRESS
registry_config() {
  cat >"$WORK/$1.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $WORK/$2}}
http: {addr: "$3", secret: none}
YAML
}

# registry_start NAME URL
registry_start() {
  start "$1" docker-registry serve "$WORK/$1.yml"
  until_ok "$1" answers "$2/v2/"
}

origin_start() { registry_start origin "http://$ORIGIN"; }

hub_config() {
  cat >"$WORK/hub.yml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $WORK/hub}}
http: {addr: "127.0.0.1:443", secret: none, tls: {certificate: $WORK/tls/server.pem, key: $WORK/tls/server.key}}
auth: {token: {realm: "$HUB_TOKENS/token", service: registry.docker.io, issuer: auth.docker.io, rootcertbundle: $WORK/tls/token.pem}}
middleware: {storage: [{name: redirect, options: {baseurl: "$HUB_CONTENT/"}}]}
YAML
}

registries_start() {
  local storage
  # Each storage is filled by a registry that wants no tokens, whatever serves it later.
  for storage in origin other hub; do
    registry_config fill "$storage" "$ORIGIN"
    registry_start fill "http://$ORIGIN" || return
    "$HERE/images.py" --set "$storage" --registry "$ORIGIN" --arch "$ARCH" --busybox /bin/busybox --facts "$FACTS" || return
    stop fill
  done
  registry_config origin origin "$ORIGIN"
  registry_config other other "$OTHER"
  hub_config
  origin_start && registry_start other "http://$OTHER" && registry_start hub "$HUB" || return
  local tls=(--tls-cert "$WORK/tls/server.pem" --tls-key "$WORK/tls/server.key")
  start tokens "$HERE/tokens.py" --listen 127.0.0.2:443 "${tls[@]}" --cert "$WORK/tls/token.pem" --key "$WORK/tls/token.key"
  start content "$HERE/content.py" --listen 127.0.0.3:443 "${tls[@]}" --root "$WORK/hub"
  until_ok tokens answers "$HUB_TOKENS/token" && until_ok content answers "$HUB_CONTENT/"
}

# fact SET NAME ARCH top|manifest|config|blobs
fact() {
  local -A columns=([top]=4 [manifest]=5 [config]=6 [blobs]=7)
  awk -F '\t' -v set="$1" -v name="$2" -v arch="$3" -v column="${columns[$4]}" \
    '$1 == set && $2 == name && $3 == arch { print $column; found = 1 } END { exit !found }' "$FACTS"
}

# served NAME LINE DIGEST: how often that registry, or the hub's content host, has sent that blob since that line of its log.
served() {
  local hex=${3#sha256:}
  since "$1" "$2" | grep -cE "\"GET /[^ ]*(/blobs/sha256:$hex|/$hex/data)[^ ]* HTTP/[0-9.]+\" (200|206|307) "
}

# served_once NAME LINE SET IMAGE...: whether it has sent every blob of these images exactly once since then.
served_once() {
  local name=$1 line=$2 set=$3 image blob count _
  shift 3
  for image in "$@"; do
    for blob in $(fact "$set" "$image" "$ARCH" blobs | tr , ' '); do
      # The line is written after the last byte: the client can be faster.
      for _ in $(seq 30); do
        count=$(served "$name" "$line" "$blob")
        ((count)) && break
        sleep 0.1
      done
      ((count == 1)) || { WHY="$name sent blob ${blob:7:12} of $image $count times"; return 1; }
    done
  done
}
