"""Runs the step of action.yml as a GitHub Actions runner does."""

import base64
import json
import re
import shutil
import subprocess
import tomllib
from functools import reduce
from pathlib import Path
from types import SimpleNamespace

import yaml

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
LINUX = "badgesmith-linux-x86_64"
KEY = "/correct+horse%battery\\staple'\"$HOME=="
# Linux, macOS and Git Bash on Windows all have these commands. The script can use no others.
COMMANDS = ("awk", "bash", "cut", "gzip", "mktemp", "mv", "sed", "tar")
# Records its arguments and environment.
PROGRAM = """#!/bin/bash
printf '%s\\0' "$@" >"FOLDER/program.arguments"
/usr/bin/env -0 >"FOLDER/program.environment"
"""
# The same, and downloads from the local server instead of github.com.
CURL = PROGRAM.replace("program.", "curl.") + r"""set -- "${@/#=https/=http,https}"
exec COMMAND "${@/#https:\/\/github.com/SERVER}"
"""
EXPRESSION = re.compile(r"\$\{\{ ([a-z_]+(?:\.[A-Za-z0-9_-]+)+) \}\}")


def load(text):
    """Parses YAML with every scalar as a string. Otherwise, `on` and `true` become booleans."""
    return yaml.load(text, Loader=yaml.BaseLoader)


def evaluate(text, contexts):
    """Replaces each `${{ a.b.c }}` with its value in `contexts`, or with an empty string if there is none."""
    def lookup(match):
        value = reduce(lambda value, name: (value or {}).get(name), match[1].split("."), contexts)
        return {None: "", True: "true", False: "false"}.get(value, value)
    assert "${{" not in EXPRESSION.sub("", text), f"unsupported expression: {text}"
    return EXPRESSION.sub(lookup, text)


class Job:
    """A job of acme/kit after a push to `main`, in a new folder. With `id_token`, it may request OIDC tokens, from
    `issuer`. `github` replaces values of that context."""

    def __init__(self, folder, server, action="work/_actions/acme/badgesmith/v1", os="Linux", arch="X64", matrix=None,
                 job_status="success", id_token=False, issuer="http://127.0.0.1:9", **github):
        self.root, self.server, self.os, self.arch = Path(folder), server, os, arch
        self.matrix, self.status = matrix, job_status
        self.workspace, self.temp, self.action = (self.root / path for path in ("work/my kit", "work/_temp", action))
        self.github = {
            "actor": "octocat", "event_name": "push", "repository": "acme/kit", "ref": "refs/heads/main",
            "workflow": "ci", "job": "test", "sha": "4d8474bda0b16fbbb69887d0d08c3885843bbdc7", "run_id": "7", "run_attempt": "1",
            "server_url": "https://github.com", "action_repository": "acme/badgesmith",
            "event": {"repository": {"fork": False}}, **github,
        }
        # What the issuer of the tests knows of the job: tests/src/bin/issuer.rs.
        claims = {name: self.github[name] for name in ("event_name", "ref", "repository", "run_id", "sha")}
        self.request_token = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        self.id_token = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer}/idtoken?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.request_token,
        } if id_token else {}
        for path in (self.workspace, self.temp, self.action / "action", self.root / "bin"):
            path.mkdir(parents=True, exist_ok=True)
        for path in ("action.yml", "Cargo.toml", "action/submit.sh"):
            shutil.copy(ROOT / path, self.action / path)
        for command in COMMANDS:
            (self.root / "bin" / command).symlink_to(shutil.which(command))
        # The script waits between attempts; the tests do not.
        (self.root / "bin/sleep").symlink_to(shutil.which("true"))
        sha256 = f"#!/bin/sh\nexec {shutil.which('sha256sum')}\n"
        for command, text in (("curl", CURL), ("shasum" if os == "macOS" else "sha256sum", sha256)):
            text = text.replace("COMMAND", shutil.which("curl")).replace("SERVER", server.url)
            (self.root / "bin" / command).write_text(text.replace("FOLDER", str(self.root)))
            (self.root / "bin" / command).chmod(0o755)

    def record(self, name):
        path = self.root / name
        return path.read_text().split("\0")[:-1] if path.exists() else []

    def run(self, given={}):
        """Runs the action with these inputs. Those that are required have working defaults."""
        action = load((self.action / "action.yml").read_text())
        (step,) = action["runs"]["steps"]
        assert action["runs"]["using"] == "composite" and step["shell"] == "bash", action
        inputs = {name: declared.get("default", "") for name, declared in action["inputs"].items()}
        assert inputs["matrix"] == "${{ toJson(matrix) }}", inputs["matrix"]
        inputs["matrix"] = json.dumps(self.matrix)
        inputs |= {"key": KEY, "url": self.server.url, "report": "**/*.xml", "release-url": self.server.url, **given}
        assert inputs.keys() == action["inputs"].keys(), given
        # The runner evaluates these, too, and refuses an expression: no context is available there.
        descriptions = [declared["description"] for part in ("inputs", "outputs") for declared in action[part].values()]
        assert "${{" not in "".join([action["description"], *descriptions]), "an expression in a description"
        contexts = {"inputs": inputs, "github": self.github, "job": {"status": self.status}}
        files = {name: self.root / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH")}
        for name, path in files.items():
            path.write_text(json.dumps(self.github["event"]) if name == "GITHUB_EVENT_PATH" else "")
        (self.root / "step.sh").write_text(evaluate(step["run"], contexts))
        process = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", self.root / "step.sh"],
            cwd=self.workspace, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
            env={
                "PATH": str(self.root / "bin"), "GITHUB_ACTIONS": "true", "RUNNER_OS": self.os,
                "RUNNER_ARCH": self.arch, "GITHUB_ACTION_PATH": str(self.action),
                "RUNNER_TEMP": str(self.temp).replace("/", "\\" if self.os == "Windows" else "/"),
                **{f"GITHUB_{name.upper()}": value for name, value in self.github.items() if isinstance(value, str)},
                **{name: str(path) for name, path in files.items()}, **self.id_token,
                **{name: evaluate(text, contexts) for name, text in step["env"].items()},
            },
        )
        masks, log = re.fullmatch(r"((?:::add-mask::.*\n)*)((?s:.*))", process.stdout.decode()).groups()
        written = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        contexts["steps"] = {step["id"]: {"outputs": written}}
        outputs = {name: evaluate(declared["value"], contexts) for name, declared in action["outputs"].items()}
        summary = files["GITHUB_STEP_SUMMARY"].read_text()
        records = [self.record(name) for name in ("curl.arguments", "curl.environment", "program.arguments")]
        public = "\n".join((log, summary, *outputs.values(), *sum(records, [])))
        for secret in filter(None, (inputs["key"], inputs["key"].replace("%", "%25"), self.request_token)):
            assert secret not in public, f"a secret leaked: {public}"
        return SimpleNamespace(status=process.returncode, log=log, masks=masks, outputs=outputs, summary=summary)
