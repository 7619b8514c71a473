#!/bin/sh
# The official embed proxy: plain HTTP only, one shared bearer token, no key set, no rate limit.
# It reads every environment variable as a flow, hence the empty environment.
PL_SELF=$0; . "$(dirname "$0")/../common.sh"
node=$(command -v node)
cd "$PL_BIN/../embed" || exit
start env -i NODE_ENV=production HOST=127.0.0.1 PORT="$PL_HTTP" API_HOST="http://$PL_UPSTREAM" \
  FLOWISE_API_KEY="$PL_UPKEY" "$PL_FLOW=$PL_FLOW,$PL_ORIGIN" "$node" server.js
