#!/bin/sh
# Installs the programs that the tests drive for real: a PostgreSQL server and a browser. Says what is missing where it can't.
set -eu

wanted=""
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || wanted="$wanted postgresql"
command -v chromium >/dev/null || wanted="$wanted chromium fonts-dejavu-core"
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=""
elif command -v sudo >/dev/null; then as_root="sudo"
else
    echo "The tests need these Debian packages:$wanted. Install them as root: apt-get install$wanted" >&2
    exit 1
fi
echo "Installing$wanted …"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get -qq update
# shellcheck disable=SC2086
$as_root apt-get -qq install --yes --no-install-recommends $wanted >/dev/null
