# shellcheck shell=bash
# buildah, Debian 12's. It pulls with the library that podman pulls with, so here it only pushes.
# shellcheck source=engines/containers-image.sh
source "$HERE/drivers/engines/containers-image.sh"

client_install() { debian_install buildah; }

client_version() { buildah --version; }

client_start() { write_registries_conf; }

client_stop() { :; }

client_empty() { buildah_ rmi --all --force; }

client_pull() { buildah_ pull --quiet --policy always --arch "$2" "$1"; }

client_push() { buildah_ push --quiet "$1" "docker://$2"; }

# The image id is the digest of the config, which names the content of each layer; buildah has checked both.
client_holds() {
  local reference=$1 config=$5
  [[ sha256:$(buildah_ inspect --type image --format '{{.FromImageID}}' "$reference") == "$config" ]] || { WHY="$reference has another image id"; return 1; }
}

client_lacks() { [[ $1 == push ]] || echo "pulls as podman does"; }

buildah_() {
  local driver=vfs
  [[ $SNAPSHOTS != overlay ]] || driver=overlay
  CONTAINERS_REGISTRIES_CONF=$WORK/$CLIENT/registries.conf timeout 120 buildah --root "$WORK/$CLIENT/root" --runroot /run/clients/buildah \
    --storage-driver "$driver" "$@"
}
