# shellcheck shell=bash
# containerd 1.6, Debian 12's own.
CONTAINERD=/usr/bin
CONTAINERD_CONFIG_VERSION=2
CONTAINERD_EXTRA=
# shellcheck source=engines/containerd.sh
source "$HERE/drivers/engines/containerd.sh"
client_install() { debian_install containerd runc; }
