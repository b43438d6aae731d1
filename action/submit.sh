#!/usr/bin/env bash
# What action.yml runs: fetches the release's program for this runner, checks it, and submits the reports with it.
# Also has to work with bash 3.2, which macOS has, and in Git Bash on Windows.
set -euo pipefail

# Says $2 as a workflow command, which is one line: `annotate error TEXT` and the like.
annotate() {
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

# The result cannot be delivered now. Whether that is a failure, the user says.
give_up() {
    [ "$INPUT_FAIL_ON_ERROR" != true ] || die "$1"
    annotate warning "$1"
    exit 0
}

# The key is for the program alone: curl and all else have no use for it.
key=$BADGESMITH_KEY
unset BADGESMITH_KEY
if [ -n "$key" ]; then
    # Secrets are masked already; a key that comes from elsewhere is not.
    annotate add-mask "$key"
else
    # https://docs.github.com/actions/security-guides/using-secrets-in-github-actions says who gets no secrets.
    # `pull_request_target` is not among them, whatever the pull request comes from.
    skip() {
        annotate notice "No result was sent, since $1. (The input \`key\` is empty.)"
        exit 0
    }
    [ "$GITHUB_ACTOR" != 'dependabot[bot]' ] ||
        skip "Dependabot's runs get Dependabot's secrets only. To send their results too, add the key to those"
    case $GITHUB_EVENT_NAME in
        pull_request | pull_request_review | pull_request_review_comment)
            # A fork that was deleted has no name.
            [ "$HEAD_REPOSITORY" = "$GITHUB_REPOSITORY" ] || skip "pull requests from forks get no secrets"
            ;;
    esac
    [ "$REPOSITORY_IS_FORK" != true ] || skip "forks do not have the secrets of their parent"
    die "The input \`key\` is empty. Pass the repository's key from a secret: \`key: \${{ secrets.BADGESMITH_KEY }}\`. \
If you do, there is no secret of that name that this job may see."
fi

[ -n "$INPUT_URL" ] ||
    die "The input \`url\` is empty. Pass the service's address, such as \`https://badges.example.com\`."
case $INPUT_FAIL_ON_ERROR in
    true | false) ;;
    *) die "The input \`fail-on-error\` has to be \`true\` or \`false\`." ;;
esac

lines=${INPUT_REPORT//$'\r'/}
reports=()
while read -r report; do
    [ -z "$report" ] || reports+=("$report")
done <<<"$lines"
[ ${#reports[@]} -gt 0 ] || die "The input \`report\` is empty. Pass the paths of the test reports, or patterns such \
as \`**/*.trx\`, one per line."

# Which program: the names that releases give to systems and architectures.
exe=
case $RUNNER_OS in
    Linux) os=linux ;;
    macOS) os=macos ;;
    Windows) os=windows exe=.exe ;;
    *) die "There is no program for runners with $RUNNER_OS, only for Linux, macOS and Windows." ;;
esac
case $RUNNER_ARCH in
    X64) arch=x86_64 ;;
    ARM64) arch=arm64 ;;
    *) die "There is no program for runners with $RUNNER_ARCH, only for X64 and ARM64." ;;
esac
name=badgesmith-$os-$arch

# Which release. The release workflow makes sure that the tag `v1.2.3` has version 1.2.3 in Cargo.toml, so by which ref
# the action was called need not be known: `v1.2.3`, `v1`, a branch and a commit all hold the version they stand for.
# (`github.action_ref` is no help: inside another composite action it is that action's, actions/runner#2473.)
action=${GITHUB_ACTION_PATH//\\//}
version=${INPUT_VERSION#v}
[ -n "$version" ] ||
    version=$(sed -n '/^\[workspace\.package]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$action/Cargo.toml")
semver='^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$'
[[ $version =~ $semver ]] ||
    die "The input \`version\` has to be a full version, such as \`1.2.3\`, but is \`$version\`."

# Whose release. The folder that the runner puts the action in is right where `github.action_repository` is not (see
# above); for `uses: ./` there is neither.
repository=${ACTION_REPOSITORY:-$GITHUB_REPOSITORY}
downloaded='/_actions/([^/]+/[^/]+)/'
[[ ! $action =~ $downloaded ]] || repository=${BASH_REMATCH[1]}
release=${INPUT_RELEASE_URL:-https://github.com/$repository/releases/download}
release=${release%/}/v$version
case $release in
    https://*) protocols='=https' ;;
    http://127.0.0.1:* | http://localhost:*) protocols='=http,https' ;;
    *) die "The input \`release-url\` has to begin with \`https://\`." ;;
esac

sha256() { # prints that of its standard input
    if command -v sha256sum >/dev/null; then
        sha256sum
    else
        shasum -a 256
    fi | cut -c 1-64
}

# Downloads URL to FILE. No answer, and one that blames the server, is asked for again.
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
            404) die "There is no $1. Is v$version released? If not, pass another \`version\`; if it is elsewhere, \
pass where as \`release-url\`." ;;
            4??) die "$1 was refused with status $status. If it is not public, pass a mirror as \`release-url\`." ;;
        esac
        [ "$pause" = last ] || sleep "$pause"
    done
    give_up "No result was sent, since $1 cannot be downloaded: the last of four attempts ended with status $status. \
Try again later; if this runner cannot reach it, pass a mirror as \`release-url\`."
}

# The job's own folder, not the tool cache: that one is shared with other jobs on a runner of one's own, and what they
# leave there would be handed the key.
temp=${RUNNER_TEMP//\\//}
folder=$temp/badgesmith/$(printf %s "$release" | sha256)
mkdir -p "$folder"
sums=$folder/SHA256SUMS
archive=$folder/$name.tar.gz

# The archive is checked whenever it is used, also if a step before this one has left it here. The sums come from the
# same release: they reveal an archive that was damaged, cut off or swapped on its own, on its way or in this folder;
# not one that was swapped together with them, by somebody who may write the release or the mirror. That is told by its
# provenance (`gh attestation verify`), or prevented by GitHub's immutable releases.
[ -f "$sums" ] || download "$release/SHA256SUMS" "$sums"
expected=$(awk -v name="$name.tar.gz" '{ sub(/\r$/, "") } $2 == name || $2 == "*" name { print $1 }' "$sums")
digest='^[0-9a-f]{64}$'
[[ $expected =~ $digest ]] || die "v$version has no program for $os on $arch: $release/SHA256SUMS does not list \
$name.tar.gz. Another \`version\` may have one."
if ! [ -f "$archive" ] || [ "$(sha256 <"$archive")" != "$expected" ]; then
    download "$release/$name.tar.gz" "$archive"
    actual=$(sha256 <"$archive")
    if [ "$actual" != "$expected" ]; then
        rm "$archive" "$sums"
        die "$release/$name.tar.gz is not what was released, and was not run: its SHA-256 is $actual, SHA256SUMS has \
$expected. If \`release-url\` is a mirror, renew it; otherwise report this."
    fi
fi
# From standard input: GNU tar takes `D:` in a file's name for another machine.
tar -xzf - -C "$folder" "$name/badgesmith$exe" <"$archive"
echo "badgesmith $version, from $release/$name.tar.gz, SHA-256 $expected"

arguments=(submit "--url=$INPUT_URL")
[ -z "$INPUT_REPOSITORY" ] || arguments+=("--repo=$INPUT_REPOSITORY")
[ -z "$INPUT_PLATFORM" ] || arguments+=("--platform=$INPUT_PLATFORM")
[ -z "$INPUT_BRANCH" ] || arguments+=("--branch=$INPUT_BRANCH")
[ "$INPUT_FAIL_ON_ERROR" != true ] || arguments+=(--fail-on-error)
# Git Bash makes a Windows path of what begins with a slash, and a key in base64 may.
BADGESMITH_KEY=$key MSYS2_ENV_CONV_EXCL='BADGESMITH_KEY;GITHUB_' MSYS2_ARG_CONV_EXCL='*' \
    "$folder/$name/badgesmith$exe" "${arguments[@]}" -- "${reports[@]}"
