#!/bin/sh
# run_tests.sh PYTHON FOLDER [ARGS]: runs the end-to-end tests; 77 (skipped) when this machine can't.
set -eu
python=$1
shift
if [ ! -x "$python" ]; then
  echo "skipped: no $python; './dev test' makes it"
  exit 77
fi
if [ ! -f "${PERMUTATION_MODEL:-}" ]; then
  echo "skipped: PERMUTATION_MODEL names no file ('${PERMUTATION_MODEL:-}'); './dev test' fetches the model"
  exit 77
fi
exec "$python" -B -m pytest -p no:cacheprovider -ra --durations=20 "$@"
