# shellcheck shell=bash
# What podman and skopeo share: the containers/image library and its configuration.

# write_registries_conf: Harbinger as mirror of docker.io, and plain HTTP to it.
write_registries_conf() {
  cat >"$WORK/$CLIENT/registries.conf" <<TOML
[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "$PROXY/docker.io"
insecure = true

[[registry]]
prefix = "$PROXY"
location = "$PROXY"
insecure = true
TOML
}

client_reference() { echo "docker.io/library/$1$2"; }
