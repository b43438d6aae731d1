#!/bin/sh
# Posts results as the clients do that are deployed today, with curl and openssl alone, to a `local` of its
# own, and checks that each badge comes out. Usage: tests/deployed-client.sh PATH-OF-LOCAL
set -eu

KEY='correct horse battery staple'
WORK=$(mktemp -d)
"$1" --port 0 --data-dir "$WORK/data" --no-demo --secret "acme/kit=$KEY" >"$WORK/stdout" 2>"$WORK/stderr" &
LOCAL=$!
trap 'kill "$LOCAL" 2>/dev/null || true; wait "$LOCAL" 2>/dev/null || true; rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM

tries=0
until grep -q '^listening on ' "$WORK/stdout"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 200 ] || ! kill -0 "$LOCAL" 2>/dev/null; then
        cat "$WORK/stderr" >&2
        echo "local did not start" >&2
        exit 1
    fi
    sleep 0.05
done
URL=$(sed -n 's/^listening on //p' "$WORK/stdout")

passed=100
for BRANCH in main feature/x release/1.0 dependabot/npm_and_yarn/a-1; do
    passed=$((passed + 1))
    TIMESTAMP=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    BODY='{"platform":"Linux","passed":'$passed',"failed":0,"skipped":0,"total":'$passed',"url_html":"","timestamp":"'$TIMESTAMP'","commit":"4d8474bda0b16fbbb69887d0d08c3885843bbdc7","run_id":"16814735762","workflow_run_url":"https://github.com/acme/kit/actions/runs/16814735762"}'
    SIGNATURE=$(printf '%s' "$BODY" | openssl dgst -sha256 -hmac "$KEY" | sed 's/^.* //')
    STATUS=$(curl -s -o "$WORK/answer" -w '%{http_code}' -X POST "$URL/tests/results/linux/acme/kit/$BRANCH" \
        -H 'Content-Type: application/json' -H "X-Signature: sha256=$SIGNATURE" \
        -H "X-Timestamp: $TIMESTAMP" -H "X-Nonce: $(openssl rand -hex 16)" --data-raw "$BODY")
    if [ "$STATUS" != 202 ]; then
        echo "$BRANCH: expected 202, got $STATUS: $(cat "$WORK/answer")" >&2
        exit 1
    fi
    tries=0
    until curl -s "$URL/badges/tests/linux/acme/kit/$BRANCH" >"$WORK/badge" && grep -q "\"$passed passed\"" "$WORK/badge"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            echo "$BRANCH: no badge of $passed passed tests: $(cat "$WORK/badge")" >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "$BRANCH: 202, and its badge says $passed passed"
done
