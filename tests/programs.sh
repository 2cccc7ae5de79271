#!/bin/sh
# Install the programs that some tests need, where they are missing: called by `tests/run.sh --all` with the folder for
# those that are only unpacked. Needs Debian or its like, and root or sudo.
set -eu
folder=$1
packages=
while read -r program package; do
    command -v "$program" > /dev/null || packages="$packages $package"
done << 'LIST'
buildah buildah
chromium chromium
crun crun
curl curl
debootstrap debootstrap
localedef locales
node nodejs
pdftotext poppler-utils
podman podman
soffice libreoffice-calc
strace strace
LIST
promtool=$(PATH="$PATH:$folder" command -v promtool || true)
if [ -z "$packages" ] && [ -n "$promtool" ]; then
    exit 0
fi
if ! command -v apt-get > /dev/null; then
    echo "There is no apt-get here. Install these yourself, by whatever name they have:${packages} promtool" >&2
    exit 1
fi
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
if [ -n "$packages" ]; then
    echo "Installing${packages} ..."
    # shellcheck disable=SC2086 # one word for each package is meant
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $packages > /dev/null
fi
if [ -z "$promtool" ]; then
    # the package's server would start at once, and on every start of the machine: take the one program
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get -o APT::Sandbox::User=root download -qq prometheus && dpkg-deb -x prometheus_*.deb .)
    cp "$scratch/usr/bin/promtool" "$folder/"
    rm -r "$scratch"
fi
