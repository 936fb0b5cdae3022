# shellcheck shell=bash
# crane: knows no mirrors, so it is told Harbinger's address; without the name of an upstream in the path it gets docker.io.

client_install() { install_crane; }

client_version() { echo "crane $(crane_ version)"; }

client_start() { :; }

client_stop() { :; }

client_empty() { rm -rf "$WORK/$CLIENT/images"; }

client_reference() { echo "$PROXY/library/$1$2"; }

client_pull() {
  mkdir -p "$WORK/$CLIENT/images"
  rm -rf "$(image_folder "$1" "$2")"
  crane_ pull --platform "linux/$2" --format oci "$1" "$(image_folder "$1" "$2")"
}

client_push() { crane_ push "$(image_folder "$1" "$3")" "$2"; }

# Every byte of the folder, the tag's digest, and crane's own check, which pulls once more and unpacks (gzip alone).
client_holds() {
  local reference=$1 arch=$2 top=$3 manifest=$4 blobs=$6 digest folder
  folder=$(image_folder "$reference" "$arch")/blobs/sha256
  for digest in "$manifest" ${blobs//,/ }; do
    echo "${digest#sha256:}  $folder/${digest#sha256:}"
  done | sha256sum --check --quiet --strict - >&2 || return
  [[ $(crane_ digest "$reference") == "$top" ]] || { WHY="$reference is not $top"; return 1; }
  [[ $reference == */zstd:* ]] || crane_ validate --platform "linux/$arch" --remote "$reference" >&2
}

client_lacks() {
  case $1 in
  run) echo "runs no containers" ;;
  ranges) echo "fetches a layer by one request" ;;
  ns) echo "sends no ns" ;;
  fallback) echo "knows no mirrors, so no next host" ;;
  esac
}

image_folder() { echo "$WORK/$CLIENT/images/${1//[^a-z0-9]/_}-$2"; }

crane_() { timeout 60 "$DOWNLOADS/go/bin/crane" "$@"; }
