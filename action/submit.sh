#!/usr/bin/env bash
# The script of action.yml: downloads the program for this runner from the release, verifies its checksum, and submits
# the reports with it. It also runs with bash 3.2 on macOS and in Git Bash on Windows.
set -euo pipefail

# Prints TEXT as a workflow command, which is a single line.
annotate() { # error|warning|notice|add-mask TEXT
    local text=$2 percent=%
    text=${text//$percent/%25}
    text=${text//$'\r'/%0D}
    text=${text//$'\n'/%0A}
    case $1 in
        add-mask) printf '::%s::%s\n' "$1" "$text" ;;
        *) printf '::%s title=BadgeSmith::%s\n' "$1" "$text" ;;
    esac
}

die() {
    annotate error "$1"
    exit 1
}

# Ends the step without a result: with an error if the user asks for one, otherwise with a warning.
stop_undelivered() { # MESSAGE
    [ "$INPUT_FAIL_ON_ERROR" != true ] || die "$1"
    annotate warning "$1"
    exit 0
}

# Only the program gets the key and the token with which it requests OIDC tokens. No other command, such as curl, finds
# them in its environment.
key=$BADGESMITH_KEY request_token=${ACTIONS_ID_TOKEN_REQUEST_TOKEN-}
unset BADGESMITH_KEY ACTIONS_ID_TOKEN_REQUEST_TOKEN
if [ -n "$key" ]; then
    # GitHub masks secrets. The key may also come from another source.
    annotate add-mask "$key"
fi

check_boolean() { # NAME VALUE
    case $2 in
        true | false) ;;
        *) die "The input \`$1\` must be \`true\` or \`false\`." ;;
    esac
}
check_boolean fail-on-error "$INPUT_FAIL_ON_ERROR"
check_boolean failures "$INPUT_FAILURES"

lines=${INPUT_REPORT//$'\r'/}
reports=()
while read -r report; do
    [ -z "$report" ] || reports+=("$report")
done <<<"$lines"

# The archive of the program, with the names of systems and architectures in releases.
exe=
case $RUNNER_OS in
    Linux) os=linux ;;
    macOS) os=macos ;;
    Windows) os=windows exe=.exe ;;
    *) die "BadgeSmith does not support $RUNNER_OS runners, only Linux, macOS and Windows." ;;
esac
case $RUNNER_ARCH in
    X64) arch=x86_64 ;;
    ARM64) arch=arm64 ;;
    *) die "BadgeSmith does not support $RUNNER_ARCH runners, only X64 and ARM64." ;;
esac
name=badgesmith-$os-$arch

# The version of the release. The release workflow checks that the tag `v1.2.3` has version 1.2.3 in Cargo.toml, so any
# ref of the action contains its own version: `v1.2.3`, `v1`, a branch or a commit. (`github.action_ref` is unreliable:
# inside another composite action it is the ref of that action, actions/runner#2473.)
action=${GITHUB_ACTION_PATH//\\//}
version=${INPUT_VERSION#v}
[ -n "$version" ] ||
    version=$(sed -n '/^\[workspace\.package]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$action/Cargo.toml")
semver='^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$'
[[ $version =~ $semver ]] ||
    die "The input \`version\` must be a full version, such as \`1.2.3\`, but is \`$version\`."

# The repository of the release. `github.action_repository` is as unreliable as `github.action_ref`, so the folder that
# the runner downloads the action to comes first. `uses: ./` has neither.
repository=${ACTION_REPOSITORY:-$GITHUB_REPOSITORY}
downloaded='/_actions/([^/]+/[^/]+)/'
[[ ! $action =~ $downloaded ]] || repository=${BASH_REMATCH[1]}
release=${INPUT_RELEASE_URL:-https://github.com/$repository/releases/download}
release=${release%/}/v$version
loopback='^http://(127\.0\.0\.1|localhost):[0-9]+/'
case $release in
    https://*) protocols='=https' ;;
    *)
        [[ $release =~ $loopback ]] || die "The input \`release-url\` must start with \`https://\`."
        protocols='=http,https'
        ;;
esac
digest='^[0-9a-f]{64}$'
[ -z "$INPUT_SHA256" ] || [[ $INPUT_SHA256 =~ $digest ]] ||
    die "The input \`sha256\` must be 64 hexadecimal digits in lower case."

# Prints the SHA-256 of the standard input.
sha256() {
    if command -v sha256sum >/dev/null; then
        sha256sum
    else
        shasum -a 256
    fi | cut -c 1-64
}

# Downloads URL to FILE. Retries without a response, and after 408, 429 and 5xx.
download() { # URL FILE
    local pause status
    for pause in 1 4 10 last; do
        if status=$(curl --fail --silent --show-error --location --proto "$protocols" --connect-timeout 20 \
            --max-time 300 --write-out '%{http_code}' --output "$2.part" "$1"); then
            mv "$2.part" "$2"
            return
        fi
        case $status in
            408 | 429) ;;
            404) die "$1 does not exist. If v$version is not released, pass another \`version\`. If it is released \
elsewhere, pass that address as \`release-url\`." ;;
            4??) die "The download of $1 failed with status $status. If it is not public, pass a mirror as \
\`release-url\`." ;;
        esac
        [ "$pause" = last ] || sleep "$pause"
    done
    stop_undelivered "No result was sent, because $1 cannot be downloaded: the last of four attempts ended with status \
$status. Try again later. If this runner cannot reach it, pass a mirror as \`release-url\`."
}

# A new folder, so that no other step has left files there. On a self-hosted runner, jobs share the tool cache, and a
# program that another job left there would get the key.
folder=$(mktemp -d "${RUNNER_TEMP//\\//}/badgesmith.XXXXXX")
sums=$folder/SHA256SUMS
archive=$folder/$name.tar.gz

# Without the input, the checksum comes from the same release. It detects an archive that was damaged or truncated. It
# does not detect that the archive and the checksums were both replaced by an attacker with write access to the release
# or the mirror. The input detects that, as does provenance (`gh attestation verify`), and GitHub's immutable releases
# prevent it.
expected=$INPUT_SHA256
if [ -z "$expected" ]; then
    download "$release/SHA256SUMS" "$sums"
    expected=$(awk -v name="$name.tar.gz" '{ sub(/\r$/, "") } $2 == name || $2 == "*" name { print $1 }' "$sums")
    [[ $expected =~ $digest ]] || die "v$version does not support $os on $arch: $release/SHA256SUMS does not list \
$name.tar.gz. Pass another \`version\`."
fi
download "$release/$name.tar.gz" "$archive"
actual=$(sha256 <"$archive")
[ "$actual" = "$expected" ] || die "$release/$name.tar.gz has the wrong checksum and was not run: its SHA-256 is \
$actual, but should be $expected. If you pass \`sha256\`, correct it. If \`release-url\` is a mirror, update it. \
Otherwise, report this."
# From standard input, because GNU tar takes `D:` in a file name for the name of a host.
tar -xzf - -C "$folder" "$name/badgesmith$exe" <"$archive"
echo "badgesmith $version, from $release/$name.tar.gz, SHA-256 $expected"

arguments=(submit "--url=$INPUT_URL")
[ -z "$INPUT_REPOSITORY" ] || arguments+=("--repo=$INPUT_REPOSITORY")
[ -z "$INPUT_PLATFORM" ] || arguments+=("--platform=$INPUT_PLATFORM")
[ -z "$INPUT_BRANCH" ] || arguments+=("--branch=$INPUT_BRANCH")
[ -z "$INPUT_SUITE" ] || arguments+=("--suite=$INPUT_SUITE")
[ -z "$INPUT_CONCLUSION" ] || arguments+=("--conclusion=$INPUT_CONCLUSION")
[ "$INPUT_FAILURES" != true ] || arguments+=(--failures)
[ "$INPUT_FAIL_ON_ERROR" != true ] || arguments+=(--fail-on-error)
# Git Bash converts values with a leading slash to Windows paths. A base64 key may start with a slash.
BADGESMITH_KEY=$key ACTIONS_ID_TOKEN_REQUEST_TOKEN=$request_token \
    MSYS2_ENV_CONV_EXCL='ACTIONS_;BADGESMITH_;GITHUB_' MSYS2_ARG_CONV_EXCL='*' \
    "$folder/$name/badgesmith$exe" "${arguments[@]}" -- ${reports[@]+"${reports[@]}"}
