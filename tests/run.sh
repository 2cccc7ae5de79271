#!/bin/sh
# Lint, types, who may import whom, tests: `bash tests/run.sh`. Makes an environment of its own in .venv-tests.
# What is given is handed to pytest: `bash tests/run.sh tests/batch -k duplicate`.
# `bash tests/run.sh --all` first installs the programs that some tests need (Debian and its like, as root or by sudo),
# then runs these tests too, and fails when one is skipped for a reason that tests/conftest.py does not name.
set -eu
cd -- "$(dirname -- "$(readlink -f -- "$0")")/.."
venv=.venv-tests
wanted=$(cat requirements-serve.txt requirements.txt requirements-dev.txt | cksum)
if [ "$(cat "$venv/made-from" 2>/dev/null)" != "$wanted" ]; then
    echo "Making $venv (once; some minutes) ..."
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
    echo "$wanted" > "$venv/made-from"
fi
if [ "${1:-}" = --all ]; then
    sh tests/programs.sh "$venv/bin"
    PATH="$PATH:$PWD/$venv/bin"
    export PATH
fi
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check --quiet .
"$venv/bin/mypy"
"$venv/bin/lint-imports" --no-cache
exec "$venv/bin/python" -m pytest -n auto --dist worksteal "$@"
