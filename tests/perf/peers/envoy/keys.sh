# shellcheck shell=sh
# Writes the route file with the key set, and moves it into place (Envoy watches for the move).
routes() {
  render "$HERE/rds.head.yaml" "$PL_DIR/rds.part"
  sed -e "s|@VERSION@|$(date +%s%N)|" rds.part > rds.next
  awk '{printf "        - { key: \"%s\", client: \"c%d\" }\n", $1, NR}' "$PL_KEYS" >> rds.next
  mv -f rds.next rds.yaml
}
