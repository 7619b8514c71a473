#!/usr/bin/env bash
# Brings up a real Flowise (npm package, SQLite) and a stub LLM on loopback ports, creates the admin
# account, API keys, credential, variables and chatflows, and prints a JSON description (also written
# to $FLOWISE_LAB_DIR/state/lab.json and lab.env). Idempotent. Stop with down.sh.
#
#   FLOWISE_LAB_DIR   where things are installed and kept (default ${XDG_CACHE_HOME:-$HOME/.cache}/.flowise-lab)
#   FLOWISE_VERSION   3.1.4      FLOWISE_PORT   13000      STUB_PORT   13999
#   STUB_DELAY_MS     0          LAB_FRESH=1 starts from an empty database
#   FLOWISE_EXTRA_ENV  "NAME=value NAME=value" passed to Flowise (e.g. CORS_ORIGINS=*)
#   LAB_INSTALL_ONLY=1 stops after the install
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=${FLOWISE_LAB_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/.flowise-lab}
VERSION=${FLOWISE_VERSION:-3.1.4}
PORT=${FLOWISE_PORT:-13000}
STUB_PORT=${STUB_PORT:-13999}
APP=$LAB/flowise-$VERSION
STATE=$LAB/state
mkdir -p "$APP" "$STATE"
log() { echo "[flowise-lab] $*" >&2; }

# --- install -----------------------------------------------------------------------------------
if [ ! -f "$APP/.ok" ]; then
  log "installing flowise@$VERSION into $APP (about 4 minutes, 2.4 GB)"
  T=$SECONDS
  [ -f "$APP/package.json" ] || echo '{"name":"flowise-lab","private":true}' > "$APP/package.json"
  # Install scripts download prebuilt binaries from places that may be unreachable (faiss-node, canvas,
  # puppeteer, ...), and Flowise starts without them. Only sqlite3 is needed: build that one.
  npm install --prefix "$APP" "flowise@$VERSION" --ignore-scripts --no-audit --no-fund --loglevel=error >"$LAB/npm-install.log" 2>&1 \
    || { tail -20 "$LAB/npm-install.log" >&2; exit 1; }
  log "npm install took $((SECONDS - T)) s; building sqlite3 from source"
  T=$SECONDS
  NODE_INC=$(dirname "$(dirname "$(node -p process.execPath)")")
  [ -f "$NODE_INC/include/node/node_api.h" ] && export npm_config_nodedir=$NODE_INC
  (cd "$APP/node_modules/sqlite3" && npm_config_build_from_source=true npm run install --loglevel=error) >"$LAB/sqlite3-build.log" 2>&1 \
    || { tail -20 "$LAB/sqlite3-build.log" >&2; exit 1; }
  (cd "$APP" && node -e "require('sqlite3')")
  touch "$APP/.ok"
  log "sqlite3 took $((SECONDS - T)) s"
fi
[ "${LAB_INSTALL_ONLY:-}" = 1 ] && exit 0

alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
wait_for() { # url seconds pidfile
  local end=$((SECONDS + $2))
  until curl -sf -m 2 -o /dev/null "$1"; do
    alive "$3" || { log "process of $3 died"; return 1; }
    [ $SECONDS -lt $end ] || { log "no answer from $1"; return 1; }
    sleep 0.2
  done
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# Flowise that finds its port taken logs the error and stays up without listening, so look first.
free_or_die() { ! taken "$1" || { log "port $1 is in use by something else"; exit 1; }; }

# --- stub LLM ----------------------------------------------------------------------------------
if ! alive "$STATE/stub.pid"; then
  free_or_die "$STUB_PORT"
  : > "$STATE/stub-requests.jsonl"
  setsid node "$HERE/lab/stub-llm.mjs" --port "$STUB_PORT" --log "$STATE/stub-requests.jsonl" --delay-ms "${STUB_DELAY_MS:-0}" >"$STATE/stub.out" 2>&1 < /dev/null &
  echo $! > "$STATE/stub.pid"
  wait_for "http://127.0.0.1:$STUB_PORT/__health" 10 "$STATE/stub.pid"
fi

# --- Flowise -----------------------------------------------------------------------------------
STARTED_MS=0
if ! alive "$STATE/flowise.pid"; then
  free_or_die "$PORT"
  [ "${LAB_FRESH:-}" = 1 ] && rm -rf "$STATE/data"
  mkdir -p "$STATE/data"/{db,secrets,logs,storage,home}
  T0=$(date +%s%3N)
  ( cd "$STATE/data"
    # shellcheck disable=SC2086
    exec setsid env -u NODE_ENV HOME="$STATE/data/home" HOST=127.0.0.1 PORT="$PORT" APP_URL="http://127.0.0.1:$PORT" \
      DATABASE_TYPE=sqlite DATABASE_PATH="$STATE/data/db" SECRETKEY_PATH="$STATE/data/secrets" \
      LOG_PATH="$STATE/data/logs" BLOB_STORAGE_PATH="$STATE/data/storage" \
      DISABLE_FLOWISE_TELEMETRY=true MODEL_LIST_CONFIG_JSON="$APP/node_modules/flowise-components/models.json" \
      LAB_NODE_MODULES="$APP/node_modules" LAB_EGRESS_LOG="$STATE/egress.log" TAVILY_API_KEY=k-tavily SHOW_COMMUNITY_NODES=true TOOL_FUNCTION_EXTERNAL_DEP=lodash,moment LAB_STUB_URL="http://127.0.0.1:$STUB_PORT" NODE_OPTIONS="--require $HERE/lab/offline-shim.cjs" \
      ${FLOWISE_EXTRA_ENV:-} \
      node "$APP/node_modules/flowise/bin/run" start >"$STATE/flowise.out" 2>&1 < /dev/null ) &
  echo $! > "$STATE/flowise.pid"
  wait_for "http://127.0.0.1:$PORT/api/v1/ping" 180 "$STATE/flowise.pid"
  STARTED_MS=$(( $(date +%s%3N) - T0 ))
fi

# --- account, keys, flows ----------------------------------------------------------------------
T0=$(date +%s%3N)
FLOWISE_URL="http://127.0.0.1:$PORT" LLM_BASE="http://127.0.0.1:$STUB_PORT/v1" node "$HERE/lab/setup.mjs" > "$STATE/setup.json"
SETUP_MS=$(( $(date +%s%3N) - T0 ))
RSS=$(awk '/VmRSS/{print $2}' "/proc/$(cat "$STATE/flowise.pid")/status" 2>/dev/null || echo 0)
node -e '
const fs=require("fs"),[s,start,setup,rss]=process.argv.slice(1);
const j=JSON.parse(fs.readFileSync(s+"/setup.json"));
Object.assign(j,{flowisePid:+fs.readFileSync(s+"/flowise.pid"),stubPid:+fs.readFileSync(s+"/stub.pid"),stubLog:s+"/stub-requests.jsonl",startMs:+start,setupMs:+setup,rssKiB:+rss});
fs.writeFileSync(s+"/lab.json",JSON.stringify(j,null,2)+"\n");
const env=["BASE_URL="+j.baseUrl,"API_KEY="+j.apiKey,"CHATFLOW_ID="+j.chatflows["llm-chain"],"STUB_URL="+j.llmBase.replace(/\/v1$/,""),...Object.entries(j.chatflows).map(([k,v])=>"FLOW_"+k.toUpperCase().replace(/-/g,"_")+"="+v)];
fs.writeFileSync(s+"/lab.env",env.join("\n")+"\n");
' "$STATE" "$STARTED_MS" "$SETUP_MS" "$RSS"
cat "$STATE/lab.json"
