#!/usr/bin/env bash
# Formats the C++ sources; --check only says which lines differ, and fails if any do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mode=(-i)
[[ ${1:-} == --check ]] && mode=(--dry-run --Werror)
find src embed examples lab bench evals fuzz tests -name '*.h' -print0 -o -name '*.hpp' -print0 -o -name '*.cpp' -print0 | xargs -0 -r clang-format-14 "${mode[@]}"
