# shellcheck shell=sh
# Writes the gateway's keys file and configuration from the lab's variables.
#   BODY=passthrough|checked   the chatflow's body mode
#   ACCESS_LOG=off|on          on: info and one line a request, into output.log of the instance's folder
write_keys() {
  python3 - "$PL_KEYS" > keys.part <<'PY'
import hashlib, sys
print("keys:")
for n, k in enumerate(open(sys.argv[1]).read().split()):
    print(f"  - {{ id: k{n}, sha256: {hashlib.sha256(k.encode()).hexdigest()}, plan: lab }}")
PY
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
}
