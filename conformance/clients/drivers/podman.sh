# shellcheck shell=bash
# podman, Debian 12's.
# shellcheck source=engines/containers-image.sh
source "$HERE/drivers/engines/containers-image.sh"

client_install() { debian_install podman; }

client_version() { podman --version; }

client_start() { write_registries_conf; }

client_stop() { :; }

client_empty() { podman_ system reset --force; }

client_pull() { podman_ pull --quiet --platform "linux/$2" "$1"; }

client_push() { podman_ push --quiet "$1" "$2"; }

# The image id is the digest of the config, which names the content of each layer; podman has checked both.
client_holds() {
  local reference=$1 arch=$2 top=$3 config=$5
  [[ sha256:$(podman_ image inspect --format '{{.Id}}' "$reference") == "$config" ]] || { WHY="$reference has another image id"; return 1; }
  [[ $(podman_ image inspect --format '{{.Architecture}}' "$reference") == "$arch" ]] || { WHY="$reference is not for $arch"; return 1; }
  podman_ image inspect --format '{{join .RepoDigests "\n"}}' "$reference" | grep "@$top\$" >/dev/null || { WHY="$reference does not lead to $top"; return 1; }
}

client_run() { podman_ run --rm --network none "$1" echo "it runs"; }

client_lacks() {
  case $1 in
  ranges) echo "fetches a layer by one request" ;;
  ns) echo "sends no ns" ;;
  esac
}

podman_() {
  local driver=vfs
  [[ $SNAPSHOTS != overlay ]] || driver=overlay
  CONTAINERS_REGISTRIES_CONF=$WORK/$CLIENT/registries.conf timeout 120 podman --root "$WORK/$CLIENT/root" --runroot /run/clients/podman \
    --storage-driver "$driver" --cgroup-manager cgroupfs --events-backend none "$@"
}
