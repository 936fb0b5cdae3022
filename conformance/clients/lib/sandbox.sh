# shellcheck shell=bash
# A world of its own for the run: private mounts, a network that has nothing but loopback, and its own processes, all of which
# the kernel takes down when the run ends. So ports and names are free to choose, nothing can leave the machine, and no daemon
# or mount outlives the run.

# enter_sandbox ARGUMENTS...: runs this program again inside. `unshare` ends with whoever started it, and takes all along; itself it
# listens to no signal but KILL.
enter_sandbox() {
  setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc --propagation private \
    env HARBINGER_CLIENTS_INSIDE=1 "$HERE/run" "$@" &
  local sandbox=$!
  # shellcheck disable=SC2064  # its number now
  trap "kill -KILL $sandbox; exit 130" INT TERM
  wait "$sandbox"
}

# Inside: names of Docker Hub, an authority that speaks for them, a /run and a home that are empty.
furnish_sandbox() {
  ip link set lo up
  mount -t tmpfs tmpfs /run
  mkdir -p /run/clients

  cp /etc/hosts "$WORK/hosts"
  cat >>"$WORK/hosts" <<HOSTS
127.0.0.1 registry-1.docker.io index.docker.io
127.0.0.2 auth.docker.io
127.0.0.3 production.cloudflare.docker.com
HOSTS
  mount --bind "$WORK/hosts" /etc/hosts

  make_certificates "$WORK/tls"
  local system=/etc/ssl/certs/ca-certificates.crt
  cat "$system" "$WORK/tls/authority.pem" >"$WORK/tls/bundle.pem"
  mount --bind "$WORK/tls/bundle.pem" "$system"
  # Every program then takes the system's bundle.
  unset SSL_CERT_FILE SSL_CERT_DIR CURL_CA_BUNDLE
  unset http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY

  # Credentials and settings of whoever runs this stay out of it.
  export HOME=$WORK/home XDG_RUNTIME_DIR=/run/clients
  mkdir -p "$HOME"
  unset DOCKER_CONFIG XDG_CONFIG_HOME XDG_DATA_HOME REGISTRY_AUTH_FILE DOCKER_HOST CONTAINERD_ADDRESS CONTAINERD_NAMESPACE
}

# make_certificates FOLDER: an authority, a server certificate of Docker Hub's names, and the token service's key.
make_certificates() {
  local folder=$1
  mkdir -p "$folder"
  (
    cd "$folder" || exit
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout authority.key -out authority.pem -subj "/CN=stand-in authority"
    openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj "/CN=registry-1.docker.io"
    echo "subjectAltName=DNS:registry-1.docker.io,DNS:index.docker.io,DNS:auth.docker.io,DNS:production.cloudflare.docker.com" >server.ext
    openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile server.ext -out server.pem
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout token.key -out token.pem -subj "/CN=auth.docker.io"
  ) >"$LOGS/certificates.log" 2>&1
}

# Whether overlay mounts work in this folder; the clients unpack by plain copies where they do not.
overlay_works() {
  local folder=$WORK/overlay-probe
  mkdir -p "$folder"/{lower,upper,work,merged}
  mount -t overlay overlay -o "lowerdir=$folder/lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/merged" 2>/dev/null || return
  umount "$folder/merged"
}
