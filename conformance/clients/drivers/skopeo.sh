# shellcheck shell=bash
# skopeo, Debian 12's: copies each image into a folder, where every byte can be looked at.
# shellcheck source=engines/containers-image.sh
source "$HERE/drivers/engines/containers-image.sh"

client_install() { debian_install skopeo; }

client_version() { skopeo --version; }

client_start() { write_registries_conf; }

client_stop() { :; }

client_empty() { rm -rf "$WORK/$CLIENT/images"; }

client_pull() {
  mkdir -p "$WORK/$CLIENT/images"
  skopeo_ --override-arch "$2" copy "docker://$1" "dir:$(image_folder "$1" "$2")"
}

client_push() { skopeo_ copy "dir:$(image_folder "$1" "$3")" "docker://$2"; }

client_holds() {
  local reference=$1 arch=$2 top=$3 manifest=$4 blobs=$6 digest folder
  folder=$(image_folder "$reference" "$arch")
  [[ sha256:$(skopeo_ inspect --raw "docker://$reference" | sha256sum | cut -d ' ' -f 1) == "$top" ]] || { WHY="$reference is not $top"; return 1; }
  {
    echo "${manifest#sha256:}  $folder/manifest.json"
    for digest in ${blobs//,/ }; do echo "${digest#sha256:}  $folder/${digest#sha256:}"; done
  } | sha256sum --check --quiet --strict - >&2
}

client_lacks() {
  case $1 in
  run) echo "runs no containers" ;;
  ranges) echo "fetches a layer by one request" ;;
  ns) echo "sends no ns" ;;
  esac
}

image_folder() { echo "$WORK/$CLIENT/images/${1//[^a-z0-9]/_}-$2"; }

# skopeo does not read CONTAINERS_REGISTRIES_CONF.
skopeo_() { timeout 60 skopeo --registries-conf "$WORK/$CLIENT/registries.conf" "$@"; }
