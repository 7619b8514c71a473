# shellcheck shell=sh
# No API-key check in the open version: the nearest is a router whose rule matches the key.
# RULE=or (the cheaper one for a known key): one Header() matcher a key.
# RULE=regexp: one alternation over all keys. RULE=any: any key passes (no check at all).
dynamic() {
  render "$HERE/dyn.head.yaml" "$PL_DIR/dyn.part"
  if [ "${RULE:-or}" = or ]; then
    r=$(awk '{printf "%sHeader(`X-API-KEY`, `%s`)", (NR > 1 ? " || " : ""), $1}' "$PL_KEYS")
  elif [ "$RULE" = any ]; then
    # shellcheck disable=SC2016  # Traefik's own quotes
    r='HeaderRegexp(`X-API-KEY`, `.`)'
  else
    r=$(awk 'BEGIN {printf "HeaderRegexp(`X-API-KEY`, `^("} {printf "%s%s", (NR > 1 ? "|" : ""), $1} END {printf ")$`)"}' "$PL_KEYS")
  fi
  {
    cat dyn.part
    echo "    ok: &ok"
    echo "      priority: 20"
    echo "      rule: 'PathPrefix(\`/api/v1/\`) && ($r)'"
    echo "      middlewares: [ cors, perkey, inject ]"
    echo "      service: flowise"
    echo "    ok-tls: { <<: *ok, tls: {}, entryPoints: [ websecure ] }"
  } > dyn.next
  mkdir -p dyn
  mv -f dyn.next dyn/gateway.yaml
}
