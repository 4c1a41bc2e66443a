#!/usr/bin/env bash
# Makes the virtual environment and installs the project into it, editable, with some of its extras.
#
# Usage: tools/setup_venv.sh FOLDER EXTRAS
# Takes: PYTHON (optional), the interpreter to use instead of the first one found.
# Promises: FOLDER/bin/python is Python 3.11 or newer and imports `tensorlogic` from this checkout.
# Refuses: with one message and status 1, a machine without such a Python, and a registry that stays unreachable.
set -euo pipefail

readonly folder="${1:?usage: tools/setup_venv.sh FOLDER EXTRAS}"
readonly extras="${2:?usage: tools/setup_venv.sh FOLDER EXTRAS}"
readonly attempts=3

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A name on the path proves little: version managers leave names that only print an error, and some distributions
# ship Python without `venv` or `pip`. So every candidate is run.
usable() {
    "$1" -c 'import sys, ssl, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3.14 python3 python}; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "error: found no Python from 3.11 to 3.14 that can make virtual environments." >&2
    echo "  help: install one (on Debian and Ubuntu: python3 and python3-venv), or name one: make setup PYTHON=..." >&2
    return 1
}

install() {
    local attempt
    for ((attempt = 1; attempt <= attempts; attempt++)); do
        if "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 --timeout 60 \
            --editable ".[$extras]"; then
            return
        fi
        if ((attempt < attempts)); then
            echo "The installation failed (attempt $attempt of $attempts); trying again in $((attempt * 5)) s." >&2
            sleep $((attempt * 5))
        fi
    done
    echo "error: pip could not install the project's dependencies; what it said is above." >&2
    echo "  help: check the connection to the package registry, then run the same command again." >&2
    return 1
}

# An environment left half-made, or whose interpreter has gone, is made anew.
if ! { [[ -x "$folder/bin/python" ]] && usable "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1; }; then
    python="$(find_python)"
    echo "Making $folder with $("$python" --version)."
    rm -rf "$folder"
    "$python" -m venv "$folder"
fi

echo "Installing TensorLogic with its extras $extras into $folder."
install
