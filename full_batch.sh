#!/bin/sh
# One night: sorts the photos in data/incoming. Start it by hand, from cron, from anywhere.
#   ./full_batch.sh          sort the photos that lie in data/incoming
#   ./full_batch.sh --demo   draw some photos, sort them in data/demo, show the table
#   ./full_batch.sh pages    review the photos in a browser, at http://127.0.0.1:8000
#   ./full_batch.sh health   any command of `python -m batch`: health, report, history, requeue, config, ...
#   ./full_batch.sh --help   all commands; `./full_batch.sh COMMAND --help` explains one
# Exit codes of a night: 0 all swept, 1 could not do its work, 2 wrong usage or setting, 3 swept with failed photos,
# 75 another run is at work, 130/143 interrupted.
set -eu
root=$(dirname -- "$(readlink -f -- "$0")")
cd -- "$root"
# cron knows few folders; these are where Python usually lives
export PATH="${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin:${HOME:-/nonexistent}/.pyenv/shims"

# -E -s: whatever PYTHON... variables and the user's own packages say; -X utf8: whatever the locale says
runs='import sys; sys.exit(sys.version_info < (3, 11))'
makes_environments="import venv, ensurepip; $runs"
try() {
    check=$1 python=$2
    shift 2
    if [ -n "$python" ] && "$python" -E -s -c "$check" 2>/dev/null; then
        exec "$python" -E -s -X utf8 -m batch.environment "$@"
    fi
}

try "$makes_environments" "${PYTHON:-}" "$@"
# a .venv that is there needs nothing else; one whose Python is gone can use another of the same version
try "$runs" .venv/bin/python "$@"
try "$runs" "$(sed -n 's/^python \([0-9]*\.[0-9]*\).*/python\1/p' .venv/made-from 2>/dev/null)" "$@"
for name in python3.13 python3.12 python3.11 python3.14 python3; do
    try "$makes_environments" "$name" "$@"
done
echo "Nightsort needs Python 3.11 or newer with venv, and found none. Install it (on Debian: apt install python3 python3-venv)," >&2
echo "or name one: PYTHON=/path/to/python3 ./full_batch.sh" >&2
exit 1
