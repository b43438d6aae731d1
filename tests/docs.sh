#!/usr/bin/env bash
# Checks that `cargo run` prints what README.md shows, and runs the curl commands of docs/submitting.md. Then submits the
# results of `cargo test` with `badgesmith submit`, and reads the badge.
# Usage: tests/docs.sh PATH-OF-LOCAL PATH-OF-BADGESMITH OUTPUT-OF-CARGO-TEST
set -euo pipefail
[ $# = 3 ] && [ -f "$3" ] || { grep "^# Usage" "$0" >&2; exit 2; }
local=$(realpath "$1") badgesmith=$(realpath "$2") output=$(realpath "$3")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

# Starts `local`, and waits until a line of its output matches.
start() { # NAME LINE OPTION...
    "$local" --port 0 "${@:3}" >"$folder/$1" 2>"$folder/$1.log" &
    servers+=($!)
    for _ in $(seq 200); do
        grep -q -- "$2" "$folder/$1" && return
        sleep 0.05
    done
    cat "$folder/$1" "$folder/$1.log" >&2
    exit 1
}

# The first code block of a language in a section of a page, that contains a text.
block() { # PAGE SECTION LANGUAGE TEXT
    awk -v section="## $2" -v fence="\`\`\`$3" -v text="$4" '
        /^## / { here = $0 == section }
        here && $0 == fence { on = 1; block = ""; next }
        on && /^```$/ { on = 0; if (index(block, text)) { printf "%s", block; exit } }
        on { block = block $0 "\n" }' "$1"
}

start demo '^Stop with Ctrl-C' --ephemeral
sed 's/127\.0\.0\.1:[0-9]*/127.0.0.1:9474/g' "$folder/demo" >"$folder/printed"
block README.md "Try it" text "listening on" | sed '/^\(\.\.\.\)\?$/d' >"$folder/shown"
[ -s "$folder/shown" ] || { echo "README.md does not show the output of cargo run in \"Try it\"" >&2; exit 1; }
while IFS= read -r line; do
    grep -qxF -- "$line" "$folder/printed" || { echo "cargo run does not print this line of README.md: $line" >&2; exit 1; }
done <"$folder/shown"

# The command and the variables for a local trial in docs/submitting.md.
# shellcheck disable=SC2016 # the backquotes are Markdown's
trial=$(tr '\n' ' ' <docs/submitting.md | grep -o 'set `KEY=[^`]*`[^`]*`BADGESMITH_KEY="$KEY" cargo run -- --secret [^`]*`') ||
    { echo "docs/submitting.md does not say how to try curl locally" >&2; exit 1; }
KEY=${trial#*KEY=}
KEY=${KEY%%[ \`]*}
export KEY BADGESMITH_KEY=$KEY
start trial '^listening on ' --data-dir "$folder/data" --no-demo --secret "$(grep -o -- '--secret [^` ]*' <<<"$trial" | cut -d' ' -f2)"
URL=$(sed -n 's/^listening on //p' "$folder/trial")
export URL

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

block docs/submitting.md "With curl" sh SIGNATURE= >"$folder/curl.sh"
grep -q '^curl' "$folder/curl.sh" || { echo "docs/submitting.md has no curl command" >&2; exit 1; }
bash -euo pipefail "$folder/curl.sh"
wait_for_badge main "190 passed"

passed=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$output" | awk '{ sum += $1 } END { print sum + 0 }')
[ "$passed" -gt 0 ]
"$badgesmith" submit --url "$URL" --repo acme/kit --platform linux --branch dogfood/tests --run-id 1 \
    --suite tests --fail-on-error "$output"
wait_for_badge dogfood/tests "$passed passed"
