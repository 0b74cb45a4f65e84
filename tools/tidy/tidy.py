#!/usr/bin/env python3
"""Checks the house rules that a machine can check. usage: tidy.py REPOSITORY_ROOT

Prints one line per violation, `file:line: rule: what to do`, and exits 1 if there is any.
"""
import pathlib
import re
import shutil
import subprocess
import sys

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 70

# Which library folders each layer may include. A missing layer may include anything.
LAYERS = {
    "libs/common": ["libs/common"],
    "libs/store": ["libs/common", "libs/store"],
    "libs/api": ["libs/common", "libs/api"],
    "libs/http": ["libs/common", "libs/http"],
    "libs/registry": ["libs/common", "libs/store", "libs/api", "libs/http", "libs/registry"],
    "libs/client": ["libs/common", "libs/api", "libs/http", "libs/client"],
}

# Heavy third-party headers and the only files that may include them.
HEAVY = {
    r"boost/(asio|beast)": r"(libs/http/.*\.(cc|h)|tests/bench/.*)",
    r"rocksdb/": r"libs/store/.*\.cc",
    r"nghttp2/": r"libs/store/etcd/grpc_session\.cc",
    r"rapidjson/": r"libs/common/json/json\.cc",
    r"yaml-cpp/": r"(libs/api/yaml/.*\.cc|libs/common/kubeconfig/.*\.cc|tools/apigen/.*)",
    r"curl/": r"libs/http/.*\.cc",
    r"nftables/": r"services/(kube-proxy|kubelet)/.*\.cc",
    r"spdlog/": r"libs/common/log/log\.cc",
    r"CLI/": r"(services/[a-z-]+/main\.cc|cli/main\.cc|tests/(bench|simulation)/.*|.*_bench\.cc|tools/.*)",
}

BANNED = [
    (r"\b(TODO|FIXME|XXX)\b", "finish it, or write it down in docs/"),
    (r"\busing namespace std\b", "name what you use"),
    (r"\bstd::(thread\([^)]*\)\.)?detach\(\)|\.detach\(\)", "join threads"),
    (r"\bsystem\s*\(", "no shell from the daemons"),
]


def source_files(root):
    if shutil.which("git"):
        listed = subprocess.run(["git", "-C", root, "ls-files", "*.cc", "*.h"], capture_output=True, text=True)
        if listed.returncode == 0 and listed.stdout:
            return listed.stdout.split()
    found = (p.relative_to(root) for p in pathlib.Path(root).rglob("*") if p.suffix in (".cc", ".h"))
    return [str(p) for p in found if not p.parts[0].startswith("build")]


def layer_of(path):
    return next((layer for layer in LAYERS if path.startswith(layer + "/")), None)


def check_includes(path, lines):
    layer = layer_of(path)
    service = re.match(r"services/([^/]+)/", path)
    pure_raft = path.startswith("libs/store/raft/") and not path.endswith("_test.cc")
    for number, line in enumerate(lines, 1):
        quoted = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        angled = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
        if quoted:
            target = quoted.group(1)
            if layer and target.startswith("libs/") and not any(
                    target.startswith(allowed + "/") for allowed in LAYERS[layer]):
                yield number, f"layering: {layer} must not include {target}"
            other = re.match(r"services/([^/]+)/", target)
            if other and (service is None or other.group(1) != service.group(1)) and not path.startswith("tests/"):
                yield number, f"layering: only services/{other.group(1)} may include {target}"
            if pure_raft and not target.startswith(("libs/store/raft/", "libs/common/base/")):
                yield number, f"purity: the raft core must not include {target}"
        header = (quoted or angled).group(1) if (quoted or angled) else ""
        for pattern, allowed in HEAVY.items():
            if re.match(pattern, header) and not re.fullmatch(allowed, path):
                yield number, f"heavy header: {header} belongs behind a narrow header"


def check_functions(lines):
    """A function body opens with a line at column 0 that ends in '{' and closes with '}' at column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            if re.match(r"[A-Za-z_~].*\)\s*(const)?\s*(noexcept)?\s*(override)?\s*(->.*)?\{$", line) or (
                    re.match(r"\s{4}.*\)\s*(const)?\s*\{$", line) and number > 1
                    and re.match(r"[A-Za-z_].*\($|[A-Za-z_].*,$", lines[number - 2])):
                start = number
        elif line.startswith("}"):
            if number - start + 1 > MAX_FUNCTION_LINES and "TEST_CASE" not in lines[start - 1]:
                yield start, f"function of {number - start + 1} lines: split it ({MAX_FUNCTION_LINES} at most)"
            start = None


def check_file(path, text):
    lines = text.splitlines()
    if len(lines) > MAX_FILE_LINES:
        yield 1, f"file of {len(lines)} lines: split it ({MAX_FILE_LINES} at most)"
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "header without #pragma once"
    yield from check_includes(path, lines)
    yield from check_functions(lines)
    for number, line in enumerate(lines, 1):
        for pattern, advice in BANNED:
            if "shell" in advice and path.endswith("_test.cc"):
                continue
            if re.search(pattern, line):
                yield number, f"banned: {line.strip()[:60]!r}: {advice}"


def main():
    root = sys.argv[1]
    failures = 0
    for path in sorted(source_files(root)):
        try:
            text = pathlib.Path(root, path).read_text(errors="replace")
        except FileNotFoundError:
            continue
        for number, message in check_file(path, text):
            print(f"{path}:{number}: {message}")
            failures += 1
    print(f"{failures} violations")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
