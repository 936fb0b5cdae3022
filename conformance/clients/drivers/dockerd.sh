# shellcheck shell=bash
# dockerd 20.10 with its own image store, Debian 12's.
CLIENT_SKIPS=(zstd)
DOCKER_SOCKET=unix:///run/clients/docker.sock

client_install() { debian_install docker.io; }

client_version() { dockerd --version; }

client_start() {
  local folder=$WORK/$CLIENT driver=vfs
  [[ $SNAPSHOTS != overlay ]] || driver=overlay2
  echo "{\"registry-mirrors\": [\"http://$PROXY\"]}" >"$folder/daemon.json"
  # It starts a containerd of its own, since there is none below this /run.
  start "$CLIENT" dockerd --config-file "$folder/daemon.json" --host "$DOCKER_SOCKET" --data-root "$folder/data" \
    --exec-root /run/clients/docker --pidfile /run/clients/docker.pid --storage-driver "$driver" \
    --iptables=false --ip6tables=false --bridge=none
  until_ok "$CLIENT" docker_ version
}

client_stop() { stop "$CLIENT"; }

client_empty() {
  docker_ system prune --all --force && [[ -z $(docker_ image ls --all --quiet) ]]
}

client_reference() { echo "library/$1$2"; }

client_pull() { docker_ pull --platform "linux/$2" "$1"; }

client_push() { docker_ tag "$1" "$2" && docker_ push --quiet "$2"; }

# The image id is the digest of the config, which names the content of each layer; dockerd has checked both.
client_holds() {
  local reference=$1 arch=$2 top=$3 config=$5
  [[ $(docker_ image inspect --format '{{.Id}}' "$reference") == "$config" ]] || { WHY="$reference has another image id"; return 1; }
  [[ $(docker_ image inspect --format '{{.Architecture}}' "$reference") == "$arch" ]] || { WHY="$reference is not for $arch"; return 1; }
  docker_ image inspect --format '{{join .RepoDigests "\n"}}' "$reference" | grep "@$top\$" >/dev/null || { WHY="$reference does not lead to $top"; return 1; }
}

client_run() { docker_ run --rm --network none "$1" echo "it runs"; }

client_lacks() {
  case $1 in
  ranges) echo "fetches a layer by one request" ;;
  ns) echo "sends no ns, and has mirrors of docker.io only" ;;
  esac
}

docker_() { timeout 120 docker --host "$DOCKER_SOCKET" "$@"; }
