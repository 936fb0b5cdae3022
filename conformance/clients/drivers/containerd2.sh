# shellcheck shell=bash
# containerd 2, of whatever version Debian forky has, unpacked beside the machine's own.
CONTAINERD=$DOWNLOADS/containerd/usr/bin
CONTAINERD_CONFIG_VERSION=3
CONTAINERD_EXTRA=
# shellcheck source=engines/containerd.sh
source "$HERE/drivers/engines/containerd.sh"
client_install() { forky_unpack containerd && debian_install runc; }
