# shellcheck shell=sh
# Sourced by every peer's scripts. What run.py exports:
#   PL_DIR       scratch folder of this instance      PL_BIN      folder with the peers' binaries
#   PL_HTTP      port of the plain listener           PL_HTTPS    port of the TLS listener
#   PL_ADMIN     a spare port                         PL_UPSTREAM host:port of the upstream stub
#   PL_CERT PL_KEY PL_PEM   certificate, key, both    PL_KEYS     file with one API key a line
#   PL_WORKERS   1 or more                            PL_UPKEY    the key the upstream wants
#   PL_ORIGIN    the allowed CORS origin              PL_FLOW     id of the prediction path
set -eu
mkdir -p "$PL_DIR"
cd "$PL_DIR"

# render TEMPLATE OUT: replaces @NAME@ by the value of PL_NAME.
render() {
  sed -e "s|@DIR@|$PL_DIR|g" -e "s|@HTTP@|$PL_HTTP|g" -e "s|@HTTPS@|$PL_HTTPS|g" \
      -e "s|@ADMIN@|$PL_ADMIN|g" -e "s|@UPSTREAM@|$PL_UPSTREAM|g" \
      -e "s|@UPSTREAM_HOST@|${PL_UPSTREAM%:*}|g" -e "s|@UPSTREAM_PORT@|${PL_UPSTREAM#*:}|g" \
      -e "s|@CERT@|$PL_CERT|g" -e "s|@KEY@|$PL_KEY|g" -e "s|@PEM@|$PL_PEM|g" \
      -e "s|@WORKERS@|$PL_WORKERS|g" -e "s|@UPKEY@|$PL_UPKEY|g" -e "s|@ORIGIN@|$PL_ORIGIN|g" \
      -e "s|@FLOW@|$PL_FLOW|g" "$1" > "$2.new"
  mv -f "$2.new" "$2"
}
# shellcheck disable=SC2034  # for the scripts that source this
HERE=$(CDPATH='' cd -- "$(dirname -- "$PL_SELF")" && pwd)

# start CMD...: notes the moment the server itself is executed, then becomes it.
start() { date +%s%N > "$PL_DIR/started"; exec "$@"; }
