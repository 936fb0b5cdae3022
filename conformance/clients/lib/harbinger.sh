# shellcheck shell=bash
# The server under test. One at a time, always at the same address; its data is new with every `harbinger_start`.

PROXY=127.0.0.1:5100

# harbinger_start [ARGUMENTS...]: with an empty data folder.
harbinger_start() {
  rm -rf "$WORK/harbinger"
  HARBINGER_ARGUMENTS=("$@")
  harbinger_resume
}

# Again, with the data and the arguments of before. Its environment is its own: variables can be settings.
harbinger_resume() {
  start harbinger env -i PATH="$PATH" HOME="$HOME" HARBINGER_LOGGING__ACCESS=json "$HARBINGER" serve --data "$WORK/harbinger" --listen "$PROXY" "${HARBINGER_ARGUMENTS[@]}"
  until_ok harbinger answers "http://$PROXY/v2/"
}

# As most cases want it: `docker.io` is the plain origin, and there is a second registry under two names, since a port can be
# part of an `ns` but not of a path. All else is at its default: no file of this machine has a say.
harbinger_start_plain() {
  harbinger_start --config /dev/null --upstream "docker.io=http://$ORIGIN" --upstream "registry.example:5000=http://$OTHER" \
    --upstream "other.example=http://$OTHER"
}

# Docker Hub, over TLS and with tokens. Its stand-in lives on loopback addresses, where an upstream may not send Harbinger unless
# it is told so.
harbinger_start_hub() {
  cat >"$WORK/harbinger-hub.toml" <<TOML
[[upstream]]
name = "docker.io"
url = "$HUB"
allow_private_addresses = true
TOML
  harbinger_start --config "$WORK/harbinger-hub.toml"
}
