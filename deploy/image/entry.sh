#!/bin/sh
# The image's one entry point, `nightsort`:
#   nightsort night     one night; further options are those of `python -m batch run`
#   nightsort sidecar   the model server, for nights elsewhere; needs API_TOKEN
#   nightsort pages     the pages for people by day; needs a user, and PAGES_URL
#   nightsort job       one night for a scheduler to which every exit code but 0 is a failure
#   nightsort model …   `python -m model …`: list, promote, rollback; with the image for training, train, too
#   nightsort …         any other command of `python -m batch`: schedule, health, demo, users, …
set -eu
app=$(dirname -- "$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")")
shipped=$app/model/releases
# the releases in the image are found beside one's own
if [ "$MODEL_DIR" != "$shipped" ] && ! [ -e "$MODEL_DIR/shipped" ]; then
    mkdir -p "$MODEL_DIR"
    ln -sfn "$shipped" "$MODEL_DIR/shipped"
fi
cd "$app"

command=${1:-night}
[ $# -eq 0 ] || shift
case $command in
    night | job) set -- batch run "$@" ;;
    sidecar)
        # other containers ask it
        export API_HOST="${API_HOST:-0.0.0.0}"
        set -- api "$@"
        ;;
    pages)
        # they are published, or not, by who starts the container; strangers they refuse, so the first user is waited for
        # here, and not in a circle of restarts
        if [ -z "${PAGES_HOST:-}" ]; then
            export PAGES_HOST=0.0.0.0
            trap 'exit 143' TERM INT
            [ -e "$PAGES_SECRETS" ] || echo "The pages wait for their first user. In this container: nightsort users add NAME" >&2
            until [ -e "$PAGES_SECRETS" ]; do sleep 1; done
        fi
        set -- batch pages "$@"
        ;;
    model)
        # its runs/ are kept
        [ ! -w /state ] || cd /state
        export PYTHONPATH="$app"
        set -- model "$@"
        ;;
    *) set -- batch "$command" "$@" ;;
esac
[ "$command" = job ] || exec python -m "$@"

python -m "$@" &
night=$!
trap 'kill -TERM "$night"' TERM INT
code=0
wait "$night" || code=$?
# a signal ends `wait`, not the night, which finishes what is in flight
while kill -0 "$night" 2> /dev/null; do
    code=0
    wait "$night" || code=$?
done
case $code in
    # 3: some photos could not be read, and the night says which; 75: another run is at work
    3 | 75) exit 0 ;;
esac
exit "$code"
