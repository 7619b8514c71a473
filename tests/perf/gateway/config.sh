# shellcheck shell=sh
# Writes the gateway's keys file and configuration from the lab's variables.
#   BODY=passthrough|checked   the chatflow's body mode
#   ACCESS_LOG=off|on          on: info and one line a request, into output.log of the instance's folder
#   CHATFLOWS=N                so many chatflows, one of which is called
# What is there already is kept: what a key costs that is added is then the gateway's time, not that of a script.
write_keys() {
  have=$(grep -c '^  - ' keys.yaml 2>/dev/null) || have=0
  if [ "$have" = 0 ]; then
    python3 - "$PL_KEYS" > keys.part <<'PY'
import hashlib, sys
print("keys:")
for n, k in enumerate(open(sys.argv[1]).read().split()):
    print(f"  - {{ id: k{n}, sha256: {hashlib.sha256(k.encode()).hexdigest()}, plan: lab }}")
PY
  else
    cp keys.yaml keys.part
    tail -n "+$((have + 1))" "$PL_KEYS" | while read -r key; do
      hash=$(printf %s "$key" | sha256sum)
      echo "  - { id: k$have, sha256: ${hash%% *}, plan: lab }"
      have=$((have + 1))
    done >> keys.part
  fi
  mv -f keys.part keys.yaml
}
write_config() {
  case ${ACCESS_LOG:-off} in
    on) log='{ level: info, access: true }' ;;
    off) log='{ level: error, access: false }' ;;
    *) echo "ACCESS_LOG is on or off, not $ACCESS_LOG" >&2; exit 2 ;;
  esac
  cat > flowgate.yaml <<YAML
server:
  listen: 127.0.0.1:$PL_HTTP
  tls: { listen: 127.0.0.1:$PL_HTTPS, cert_file: $PL_CERT, key_file: $PL_KEY }
  workers: $PL_WORKERS
  max_connections: 19000
  connections_per_address: null
  max_body: 200MiB
  body_timeout: 60s
  idle_timeout: 300s
  shutdown_grace: 1s
admin: { listen: 127.0.0.1:$PL_ADMIN }
log: $log
upstreams:
  stub: { flowise: { urls: ["http://$PL_UPSTREAM"], api_key: $PL_UPKEY, health: false } }
keys_file: keys.yaml
cors: { allowed_origins: ["$PL_ORIGIN"] }
plans:
  lab: { requests: 100000000/min, burst: 1000000, concurrent: 100000 }
chatflows:
  "$PL_FLOW": { upstream: stub, body: ${BODY:-passthrough} }
YAML
  number=1
  while [ "$number" -lt "${CHATFLOWS:-1}" ]; do
    printf '  "other-%d": { upstream: stub, id: %08d-0000-4000-8000-000000000000 }\n' "$number" "$number"
    number=$((number + 1))
  done >> flowgate.yaml
}
