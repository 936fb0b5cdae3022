# shellcheck shell=bash
# The registries behind Harbinger: three of Debian's docker-registry, each with its own storage and access log.
#
#   origin  plain HTTP, what the upstream `docker.io` means in most cases
#   other   plain HTTP, a second upstream
#   hub     stands in for Docker Hub: TLS, the real host names, and tokens from a service of its own

ORIGIN=127.0.0.1:5000
OTHER=127.0.0.1:5001
HUB=https://registry-1.docker.io

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
auth: {token: {realm: "https://auth.docker.io/token", service: registry.docker.io, issuer: auth.docker.io, rootcertbundle: $WORK/tls/token.pem}}
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
  start tokens "$HERE/tokens.py" --listen 127.0.0.2:443 --tls-cert "$WORK/tls/server.pem" --tls-key "$WORK/tls/server.key" \
    --cert "$WORK/tls/token.pem" --key "$WORK/tls/token.key"
  until_ok tokens answers https://auth.docker.io/token
}

# fact SET NAME ARCH top|manifest|config|blobs
fact() {
  local -A columns=([top]=4 [manifest]=5 [config]=6 [blobs]=7)
  awk -F '\t' -v set="$1" -v name="$2" -v arch="$3" -v column="${columns[$4]}" \
    '$1 == set && $2 == name && $3 == arch { print $column; found = 1 } END { exit !found }' "$FACTS"
}

# served REGISTRY LINE DIGEST: how often it has sent that blob since that line of its log.
served() { since "$1" "$2" | grep -cE "\"GET /v2/[^ ]+/blobs/$3 HTTP/[0-9.]+\" (200|206|307) "; }

# served_once REGISTRY LINE SET NAME...: whether every blob of these images was sent exactly once since then.
served_once() {
  local registry=$1 line=$2 set=$3 name blob count _
  shift 3
  for name in "$@"; do
    for blob in $(fact "$set" "$name" "$ARCH" blobs | tr , ' '); do
      # The line is written after the last byte: the client can be faster.
      for _ in $(seq 30); do
        count=$(served "$registry" "$line" "$blob")
        ((count)) && break
        sleep 0.1
      done
      ((count == 1)) || { WHY="$registry sent blob ${blob:7:12} of $name $count times"; return 1; }
    done
  done
}
