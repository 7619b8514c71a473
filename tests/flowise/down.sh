#!/usr/bin/env bash
# Stops exactly the two processes up.sh started (by pid). LAB_PURGE=1 also forgets the database.
set -euo pipefail
LAB=${FLOWISE_LAB_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/.flowise-lab}
STATE=$LAB/state
for n in flowise stub; do
  f=$STATE/$n.pid
  [ -f "$f" ] || continue
  pid=$(cat "$f")
  # only if it is still the process we started
  if tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -qE 'flowise/bin/run start|stub-llm.mjs'; then
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 1 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -0 "$pid" 2>/dev/null && kill -9 "$pid" 2>/dev/null
    echo "[flowise-lab] stopped $n ($pid)" >&2
  fi
  rm -f "$f"
done
[ "${LAB_PURGE:-}" = 1 ] && rm -rf "$STATE"
exit 0
