"""A runner of GitHub Actions, as far as action.yml needs one: it runs the very steps that are in there."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
LINUX = "badgesmith-linux-x86_64"
KEY = "/correct+horse%battery\\staple'\"$HOME=="
# All that the script may use. Linux, macOS and Git Bash have them.
TOOLS = ("awk", "bash", "cut", "gzip", "mkdir", "mv", "rm", "sed", "tar")


def load(text):
    """Reads the YAML of action.yml, and of a step that uses it: mappings, lists of mappings, and scalars, also folded
    ones. Anything else, and it stops."""
    lines = [
        (len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines()
        if line.strip() and not line.strip().startswith("#")
    ]
    value, rest = block(lines)
    assert not rest, rest
    return value


def block(lines):
    """The mapping or list that begins with the first line, and the lines after it."""
    indent, value = lines[0][0], None
    while lines and lines[0][0] == indent:
        text = lines[0][1]
        if text.startswith("- "):
            value = value or []
            item, lines = block([(indent + 2, text[2:]), *lines[1:]])
            value.append(item)
            continue
        match = re.fullmatch(r"([A-Za-z_-]+):(?: (.+))?", text)
        assert match, text
        value, (key, scalar), lines = value or {}, match.groups(), lines[1:]
        assert key not in value, key
        if scalar == ">-":
            folded = []
            while lines and lines[0][0] > indent:
                folded.append(lines.pop(0)[1])
            value[key] = " ".join(folded)
        elif scalar is None:
            value[key], lines = block(lines)
        elif scalar[0] == '"':
            value[key] = json.loads(scalar)
        else:
            assert scalar[0] not in "|>&*!%@`'[{#", text
            value[key] = scalar.split(" #")[0].rstrip()
    return value, lines


def evaluate(text, contexts):
    """Replaces `${{ a.b.c }}`; the action has no other expressions. What does not exist is empty."""
    def lookup(match):
        value = contexts
        for name in match[1].split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return {None: "", True: "true", False: "false"}.get(value, value)
    expression = re.compile(r"\$\{\{ ([a-z_]+(?:\.[A-Za-z_-]+)+) \}\}")
    assert "${{" not in expression.sub("", text), text
    return expression.sub(lookup, text)


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)


class Step:
    """What came of a step."""

    def __init__(self, status, log, outputs, summary):
        self.status, self.log, self.outputs, self.summary = status, log, outputs, summary

    def annotations(self, level):
        return [line for line in self.log.splitlines() if line.startswith(f"::{level} title=BadgeSmith::")]


class Job:
    """A job of acme/kit, after a push to `main`, on Linux, unless something else is said."""

    def __init__(self, server, action="work/_actions/acme/badgesmith/v1", **github):
        self.root = Path(tempfile.mkdtemp(prefix="badgesmith action "))
        self.server = server
        self.workspace, self.temp = self.root / "work/my kit", self.root / "work/_temp"
        self.action = self.root / action
        self.github = {
            "actor": "octocat", "event_name": "push", "repository": "acme/kit", "ref": "refs/heads/main",
            "ref_name": "main", "ref_type": "branch", "sha": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7", "run_id": "7",
            "run_attempt": "1", "server_url": "https://github.com", "action_repository": "acme/badgesmith",
            "event": {"repository": {"fork": False}}, **github,
        }
        self.runner = {"os": "Linux", "arch": "X64"}
        self.records = self.root / "records"
        self.bin = self.root / "bin"
        for folder in (self.workspace, self.temp, self.records, self.bin, self.action):
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("action.yml", "Cargo.toml"):
            shutil.copy(ROOT / name, self.action)
        shutil.copytree(ROOT / "action", self.action / "action")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.has_tool("sha256sum")
        # Waits are written down, not waited for.
        script(self.bin / "sleep", f'#!/bin/sh\necho "$1" >>"{self.records}/pauses"\n')
        # github.com is on this machine. What else curl gets is written down.
        script(self.bin / "curl", f"""#!/bin/bash
printf '%s\\n' "$@" >>"{self.records}/curl"
/usr/bin/env >>"{self.records}/curl"
arguments=()
for argument; do
    argument=${{argument/#https:\\/\\/github.com/{server.url}}}
    [ "$argument" != =https ] || argument==http,https
    arguments+=("$argument")
done
exec {shutil.which("curl")} "${{arguments[@]}}"
""")

    def close(self):
        shutil.rmtree(self.root)

    def has_tool(self, name):
        """Which of the two programs that compute a SHA-256 this system has."""
        for tool in ("sha256sum", "shasum"):
            (self.bin / tool).unlink(missing_ok=True)
        check = "" if name == "sha256sum" else '[ "$*" = "-a 256" ] || exit 64\n'
        script(self.bin / name, f"#!/bin/sh\n{check}exec {shutil.which('sha256sum')}\n")

    def write(self, name, text):
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def uses(self, temp=None, **given):
        """Runs the action with these inputs, `_` for `-` in their names. Those that it needs have values that work."""
        action = load((self.action / "action.yml").read_text())
        inputs = {name: described.get("default", "") for name, described in action["inputs"].items()}
        defaults = {"key": KEY, "url": self.server.url, "report": "**/*.xml", "release-url": self.server.url}
        given = {**defaults, **{name.replace("_", "-"): value for name, value in given.items()}}
        assert not given.keys() - inputs.keys(), given
        inputs.update(given)
        assert action["runs"]["using"] == "composite"
        contexts = {"inputs": inputs, "github": self.github, "runner": self.runner, "steps": {}}
        status, log, summary = 0, "", ""
        for step in action["runs"]["steps"]:
            assert step.keys() == {"name", "id", "shell", "env", "run"} and step["shell"] == "bash", step
            files = {name: self.root / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH")}
            for path in files.values():
                path.write_text("")
            files["GITHUB_EVENT_PATH"].write_text(json.dumps(self.github["event"]))
            variables = {
                # The workflow's own, and no concern of the action's.
                **dict.fromkeys(("URL", "REPORT", "VERSION", "KEY", "BRANCH", "INPUT_BRANCH"), "not an input"),
                "PATH": str(self.bin), "HOME": str(self.root), "CI": "true", "GITHUB_ACTIONS": "true",
                "RUNNER_TEMP": temp or str(self.temp), "RUNNER_OS": self.runner["os"],
                "RUNNER_ARCH": self.runner["arch"], "RUNNER_TOOL_CACHE": str(self.root / "tools"),
                "GITHUB_WORKSPACE": str(self.workspace), "GITHUB_ACTION_PATH": str(self.action),
                **{f"GITHUB_{name.upper()}": value for name, value in self.github.items()
                   if name not in ("event", "action_repository")},
                **{name: str(path) for name, path in files.items()},
                **{name: evaluate(text, contexts) for name, text in step["env"].items()},
            }
            script(self.root / "step.sh", evaluate(step["run"], contexts))
            ran = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(self.root / "step.sh")],
                cwd=self.workspace, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=30, check=False,
            )
            log += ran.stdout.decode()
            outputs = self.outputs(files["GITHUB_OUTPUT"].read_text())
            contexts["steps"][step["id"]] = {"outputs": outputs}
            summary += files["GITHUB_STEP_SUMMARY"].read_text()
            status = ran.returncode
            if status:
                break
        log = self.masked(log)
        outputs = {name: evaluate(described["value"], contexts) for name, described in action["outputs"].items()}
        self.keeps_the_key(inputs["key"], log, summary, *outputs.values())
        return Step(status, log, outputs, summary)

    @staticmethod
    def outputs(text):
        found, lines = {}, text.splitlines()
        while lines:
            line = lines.pop(0)
            if match := re.fullmatch(r"([^=]+?)<<(.+)", line):
                end = lines.index(match[2])
                found[match[1]], lines = "\n".join(lines[:end]), lines[end + 1:]
            else:
                name, value = line.split("=", 1)
                found[name] = value
        return found

    @staticmethod
    def masked(log):
        """The log without the commands that the runner takes out. It hides nothing: a key that is printed is found."""
        return "".join(line for line in log.splitlines(keepends=True) if not line.startswith("::add-mask::"))

    def keeps_the_key(self, key, *texts):
        """The key is in nothing that was printed, and no program but the released one was given it."""
        seen = [*texts, *(self.record(name) for name in ("curl", "arguments"))]
        if key:
            assert not any(key in text or key.replace("%", "%25") in text for text in seen), "the key got out"

    def record(self, name):
        path = self.records / name
        return path.read_text() if path.exists() else ""

    def arguments(self):
        """What the program was called with, if it was."""
        return self.record("arguments").split("\0")[:-1]

    def environment(self):
        return dict(variable.split("=", 1) for variable in self.record("environment").split("\0")[:-1])

    def pauses(self):
        return self.record("pauses").split()
