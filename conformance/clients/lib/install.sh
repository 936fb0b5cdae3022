# shellcheck shell=bash
# What the run needs from outside, by package name. Everything else is made here.

CRANE_MODULE=github.com/google/go-containerregistry/cmd/crane@v0.22.1

# Debian's daemons must not be started by their installation: this run starts its own.
debian_install() {
  local missing=() package policy=/usr/sbin/policy-rc.d own_policy=
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  say "installing ${missing[*]}"
  apt-get install --simulate -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || apt-get update -qq
  if [[ ! -e $policy ]]; then
    own_policy=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=600 --no-install-recommends "${missing[@]}" \
    >"$LOGS/apt.log" 2>&1 || status=$?
  [[ -z $own_policy ]] || rm -f "$own_policy"
  ((status == 0)) || { tail -n 20 "$LOGS/apt.log" >&2; return "$status"; }
}

# forky_unpack PACKAGE: unpacks a package of a newer Debian into $DOWNLOADS/PACKAGE, beside the machine's own, installing nothing.
# These packages hold Go programs that need little more than a C library. Kept for later runs; delete the folder for a newer one.
forky_unpack() {
  local package=$1 apt="$DOWNLOADS/apt" mirror
  [[ -d $DOWNLOADS/$package ]] && return
  say "fetching $package of Debian forky"
  mirror=$(debian_mirror) || return
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror forky main" >"$apt/sources.list"
  local options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
    -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root)
  rm -f "$apt/$package"_*.deb
  [[ -e $apt/updated ]] || { apt-get "${options[@]}" update && touch "$apt/updated"; } || return
  (cd "$apt" && apt-get "${options[@]}" download "$package") || { rm -f "$apt/updated"; return 1; }
  dpkg-deb -x "$apt/$package"_*.deb "$DOWNLOADS/$package.part" && mv "$DOWNLOADS/$package.part" "$DOWNLOADS/$package"
}

# The mirror that this machine's own sources name.
debian_mirror() {
  local mirror format
  # shellcheck disable=SC2016  # apt fills it in
  format='$(REPO_URI)'
  mirror=$(apt-get indextargets --format "$format" 'Origin: Debian' 'Label: Debian' | head -n 1)
  [[ -n $mirror ]] || { apt-get update -qq; mirror=$(apt-get indextargets --format "$format" 'Origin: Debian' 'Label: Debian' | head -n 1); }
  [[ -n $mirror ]] || { echo "this machine's package sources name no Debian mirror" >&2; return 1; }
  echo "$mirror"
}

# crane: from its Go module where there is a Go that can build it, else Debian forky's.
install_crane() {
  [[ -x $DOWNLOADS/go/bin/crane ]] && return
  if command -v go >/dev/null && ! printf '%s\n' go1.24 "$(go env GOVERSION)" | sort -V -C; then
    say "this machine's Go is too old to build crane"
  elif command -v go >/dev/null; then
    say "building crane"
    GOBIN="$DOWNLOADS/go/bin" go install "$CRANE_MODULE" >"$LOGS/crane-build.log" 2>&1 && return
    tail -n 5 "$LOGS/crane-build.log" >&2
  fi
  forky_unpack crane && mkdir -p "$DOWNLOADS/go/bin" && cp "$DOWNLOADS/crane/usr/bin/crane" "$DOWNLOADS/go/bin/"
}

# Harbinger itself: $HARBINGER, or a release build of this repository.
find_harbinger() {
  local repository
  repository=$(cd "$HERE/../.." && pwd)
  if [[ -z ${HARBINGER:-} ]]; then
    HARBINGER=$repository/target/release/harbinger
    [[ -x $HARBINGER ]] || { say "building harbinger"; (cd "$repository" && cargo build --release --quiet) || return; }
  fi
  [[ -x $HARBINGER ]] || { echo "no program at $HARBINGER" >&2; return 1; }
  HARBINGER=$(realpath "$HARBINGER")
  export HARBINGER
}

install_all() {
  debian_install ca-certificates curl openssl python3-minimal python3 iproute2 docker-registry busybox-static || return
  local client
  for client in "$@"; do
    unset -f client_install
    # shellcheck source=/dev/null
    source "$HERE/drivers/$client.sh"
    client_install || { echo "$client cannot be installed" >&2; return 1; }
  done
}
