#!/bin/sh
# Submits results to `local` as deployed clients do, with curl and openssl only, and checks the badge of each branch.
# PASSED and SKIPPED are the results of a real test run.
# Usage: tests/deployed-client.sh PATH-OF-LOCAL [PASSED SKIPPED]
set -eu

KEY='correct horse battery staple'
PASSED=${2:-190}
SKIPPED=${3:-0}
COMMIT=$(git rev-parse HEAD 2>/dev/null || echo 4d8474bda0b16fbbb69887d0d08c3885843bbdc7)
WORK=$(mktemp -d)
BADGESMITH_KEY=$KEY "$1" --port 0 --data-dir "$WORK/data" --no-demo --secret acme/kit >"$WORK/stdout" 2>"$WORK/stderr" &
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

run=0
for BRANCH in main feature/x release/1.0 dependabot/npm_and_yarn/a-1; do
    # Each branch has another run id, because the service counts equal bytes without a nonce only once.
    run=$((run + 1))
    TIMESTAMP=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    BODY='{"platform":"Linux","passed":'$PASSED',"failed":0,"skipped":'$SKIPPED',"total":'$((PASSED + SKIPPED))',"url_html":"","timestamp":"'$TIMESTAMP'","commit":"'$COMMIT'","run_id":"'$run'","workflow_run_url":"https://github.com/acme/kit/actions/runs/'$run'"}'
    SIGNATURE=$(printf '%s' "$BODY" | openssl dgst -sha256 -hmac "$KEY" | sed 's/^.* //')
    STATUS=$(curl -s -o "$WORK/response" -w '%{http_code}' -X POST "$URL/tests/results/linux/acme/kit/$BRANCH" \
        -H 'Content-Type: application/json' -H "X-Signature: sha256=$SIGNATURE" \
        -H "X-Timestamp: $TIMESTAMP" -H "X-Nonce: $(openssl rand -hex 16)" --data-raw "$BODY")
    if [ "$STATUS" != 202 ]; then
        echo "$BRANCH: expected 202, got $STATUS: $(cat "$WORK/response")" >&2
        exit 1
    fi
    tries=0
    until curl -s "$URL/badges/tests/linux/acme/kit/$BRANCH" >"$WORK/badge" && grep -q "\"$PASSED passed\"" "$WORK/badge"; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            echo "$BRANCH: expected a badge with $PASSED passed, got $(cat "$WORK/badge")" >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "$BRANCH: 202, badge: $(cat "$WORK/badge")"
done
