#!/usr/bin/env bash
# From `git clone` to the first answer, in an empty home directory: prints the seconds of each leg.
set -euo pipefail
source_tree=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
home=$(mktemp -d)
port=${PORT:-20177}
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null; rm -rf "$home"' EXIT
now() { date +%s.%N; }
since() { awk "BEGIN { printf \"%.1f\", $(now) - $1 }"; }

began=$(now)
git clone --quiet "$source_tree" "$home/omniroute"
cd "$home/omniroute"
env HOME="$home" PIP_CACHE_DIR="$home/cache" OMNIROUTE_DISCOVER=false \
  make serve ARGS="--port $port" >"$home/log" 2>&1 &
server=$!
until curl -sf "http://127.0.0.1:$port/v1/chat/completions" -H 'content-type: application/json' \
  -d '{"model": "demo/echo", "messages": [{"role": "user", "content": "Hello"}]}' >"$home/answer"; do
  kill -0 "$server" || { cat "$home/log"; exit 1; }
  sleep 0.2
done
grep -q Hello "$home/answer"
echo "git clone to first answer: $(since "$began") s"
pkill -TERM -P "$server" || true
