# shellcheck shell=bash
# containerd of any version, driven by its own `ctr`. Set before: CONTAINERD (folder of the programs), CONTAINERD_CONFIG_VERSION,
# CONTAINERD_EXTRA (lines for the configuration).

CTR_SOCKET=/run/clients/containerd.sock

client_version() { "$CONTAINERD/containerd" --version; }

client_start() {
  local folder=$WORK/$CLIENT
  # The CRI plugin and the btrfs snapshotter look for things that this sandbox lacks; neither is needed to pull.
  cat >"$folder/config.toml" <<TOML
version = $CONTAINERD_CONFIG_VERSION
root = "$folder/root"
state = "/run/clients/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.snapshotter.v1.btrfs"]
[grpc]
  address = "$CTR_SOCKET"
$CONTAINERD_EXTRA
TOML
  # No `server` line for the second registry: its own host does not exist, so all must come through Harbinger.
  mkdir -p "$folder/certs.d/docker.io" "$folder/certs.d/registry.example_5000_"
  printf '%s\n' "server = \"$HUB\"" "[host.\"http://$PROXY\"]" '  capabilities = ["pull", "resolve"]' >"$folder/certs.d/docker.io/hosts.toml"
  printf '%s\n' "[host.\"http://$PROXY\"]" '  capabilities = ["pull", "resolve"]' >"$folder/certs.d/registry.example_5000_/hosts.toml"
  # The shim is found by PATH and must be of the same version.
  start "$CLIENT" env PATH="$CONTAINERD:$PATH" "$CONTAINERD/containerd" --config "$folder/config.toml"
  until_ok "$CLIENT" ctr_ version
}

client_stop() { stop "$CLIENT"; }

client_empty() {
  local images
  mapfile -t images < <(ctr_ images ls --quiet)
  ((${#images[@]} == 0)) || ctr_ images rm --sync "${images[@]}" || return
  [[ -z $(ctr_ content ls --quiet) ]]
}

client_reference() { echo "docker.io/library/$1$2"; }

client_pull() {
  local way=(--hosts-dir "$WORK/$CLIENT/certs.d")
  [[ $1 != "$PROXY"/* ]] || way=(--plain-http)
  ctr_ images pull "${way[@]}" --snapshotter "$(snapshotter)" --platform "linux/$2" "$1"
}

client_push() { ctr_ images push --plain-http --platform "linux/$3" "$2" "$1"; }

# The image's name leads to the right digest, and every byte is in the content store.
client_holds() {
  local reference=$1 top=$3 manifest=$4 blobs=$6 digest store=$WORK/$CLIENT/root/io.containerd.content.v1.content/blobs/sha256
  ctr_ images ls "name==$reference" | grep -F " $top " >/dev/null || { WHY="$reference does not lead to $top"; return 1; }
  for digest in "$top" "$manifest" ${blobs//,/ }; do
    echo "${digest#sha256:}  $store/${digest#sha256:}"
  done | sha256sum --check --quiet --strict - >&2
}

client_run() { ctr_ run --rm --snapshotter "$(snapshotter)" "$1" "run-$$" echo "it runs"; }

client_lacks() {
  [[ $1 != ranges ]] || echo "fetches a layer by one request"
}

snapshotter() { [[ $SNAPSHOTS == overlay ]] && echo overlayfs || echo native; }

ctr_() { timeout 60 "$CONTAINERD/ctr" --address "$CTR_SOCKET" "$@"; }
