#!/usr/bin/env bash
# Runs the commands in the README's section "Use it in your repository". Then submits the results of `cargo test` with
# `badgesmith submit`, and reads the badge.
# Usage: tests/readme.sh PATH-OF-LOCAL PATH-OF-BADGESMITH OUTPUT-OF-CARGO-TEST
set -euo pipefail
local=$(realpath "$1") badgesmith=$(realpath "$2") output=$(realpath "$3")
cd "$(dirname "$0")/.."

# The option and the variables for a local trial in the README.
# shellcheck disable=SC2016 # the backquotes are Markdown's
trial=$(tr '\n' ' ' <README.md | grep -o 'cargo run -- --secret [^`]*`[^`]*`[^`]*`')
secret=$(grep -o -- '--secret [^` ]*' <<<"$trial" | cut -d' ' -f2)
KEY=$(grep -o 'KEY=[^` ]*' <<<"$trial" | cut -d= -f2)
export KEY

folder=$(mktemp -d)
"$local" --port 0 --data-dir "$folder/data" --no-demo --secret "$secret" >"$folder/stdout" 2>"$folder/stderr" &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 200); do
    grep -q '^listening on ' "$folder/stdout" && break
    sleep 0.05
done
URL=$(sed -n 's/^listening on //p' "$folder/stdout")
export URL
[ -n "$URL" ] || { cat "$folder/stderr" >&2; exit 1; }

# Waits until the badge of a branch has the message.
wait_for_badge() { # BRANCH MESSAGE
    for _ in $(seq 100); do
        curl -s "$URL/badges/tests/linux/acme/kit/$1" >"$folder/badge"
        grep -qF "\"message\":\"$2\"" "$folder/badge" && { echo "$1: $2"; return; }
        sleep 0.1
    done
    echo "$1: expected \"$2\", got $(cat "$folder/badge")" >&2
    exit 1
}

# The ```sh block of the section that computes a signature.
awk '/^## /{section = /Use it in your repository/} section && /^```sh/{on = 1; block = ""; next} on && /^```/{on = 0; if (block ~ /SIGNATURE=/) print block; next} on{block = block $0 "\n"}' \
    README.md >"$folder/lines.sh"
grep -q '^curl' "$folder/lines.sh" || { echo "the README has no curl command" >&2; exit 1; }
bash -euo pipefail "$folder/lines.sh"
echo
wait_for_badge main "190 passed"

failed=$(sed -n 's/^test result: .* \([0-9]*\) failed;.*/\1/p' "$output" | awk '{ sum += $1 } END { print sum + 0 }')
passed=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$output" | awk '{ sum += $1 } END { print sum + 0 }')
[ "$failed" = 0 ]
[ "$passed" -gt 0 ]
markdown=$(BADGESMITH_KEY=$KEY "$badgesmith" submit --url "$URL" --repo acme/kit --platform linux --branch dogfood/tests --run-id 1 \
    --fail-on-error "$output")
echo "$markdown"
wait_for_badge dogfood/tests "$passed passed"
