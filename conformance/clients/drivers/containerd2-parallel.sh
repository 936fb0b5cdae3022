# shellcheck shell=bash
# containerd 2 that fetches a layer by several ranges at once.
# shellcheck source=containerd2.sh
source "$HERE/drivers/containerd2.sh"
CONTAINERD_EXTRA='[plugins."io.containerd.transfer.v1.local"]
  max_concurrent_downloads = 8
  concurrent_layer_fetch_buffer = 4194304'
client_lacks() { :; }
