#!/usr/bin/env python3
"""tidy.py must find what it is there for."""
import sys

sys.path.insert(0, sys.path[0])
import tidy

CASES = [
    # path, text, expected part of the message (None: clean)
    ("libs/store/a.cc", '#include "libs/common/base/result.h"\n', None),
    ("libs/store/a.cc", '#include "libs/api/meta/status.h"\n', "layering"),
    ("libs/http/a.cc", '#include "libs/client/x.h"\n', "layering"),
    ("services/kubelet/a.cc", '#include "services/kubelet/b.h"\n', None),
    ("services/kubelet/a.cc", '#include "services/scheduler/b.h"\n', "layering"),
    ("libs/store/raft/a.cc", '#include "libs/common/log/log.h"\n', "purity"),
    ("libs/client/a.cc", "#include <curl/curl.h>\n", "heavy header"),
    ("libs/http/client.cc", "#include <curl/curl.h>\n", None),
    ("libs/http/a.h", "int x;\n", "pragma once"),
    ("libs/http/a.cc", "// TODO later\n", "banned"),
    ("libs/http/a.cc", "int f(int x) {\n" + "  x++;\n" * 80 + "}\n", "function of"),
    ("libs/http/a.cc", "int f(int x) {\n" + "  x++;\n" * 40 + "}\n", None),
    ("libs/http/a.cc", "int x;\n" * 801, "file of"),
]

failures = 0
for path, text, expected in CASES:
    messages = [message for _, message in tidy.check_file(path, text)]
    good = not messages if expected is None else any(expected in message for message in messages)
    if not good:
        failures += 1
        print(f"{path}: expected {expected!r}, got {messages}: {text[:60]!r}")
print(f"{len(CASES) - failures} passed, {failures} failed")
sys.exit(1 if failures else 0)
