#!/usr/bin/env bash
# One mode of the action. What it reads comes from the environment, never from text pasted into a script, so that no
# branch or file name can run anything.
set -euo pipefail

path="${MESH_PATH:-.}"
folder="${RUNNER_TEMP:?}/meshwright-${MODE:?}"

plan() {
  local base="${BASE:-}" options=() code=0
  # A checked out pull request is a merge commit: its first parent is what it would be merged into.
  if [ -z "$base" ] && [ "${EVENT:-}" = pull_request ]; then
    ! git -C "$path" rev-parse --quiet --verify "HEAD^2" >/dev/null || base="HEAD^1"
  elif [ -z "$base" ]; then
    base="${BEFORE:-}"
  fi
  case "$base" in
    "" | 0000000000000000000000000000000000000000) ;; # a new branch: the merge base with the upstream one
    *) options+=(--base "$base") ;;
  esac
  [ -z "${FAIL_ON:-}" ] || options+=(--fail-on "$FAIL_ON")
  mkdir -p "$folder"
  meshwright plan "$path" --head HEAD "${options[@]}" --detailed-exitcode --output github \
    --save "$folder/plan.md" --save "$folder/plan.json" --save "$folder/plan.html" || code=$?
  echo "folder=$folder" >>"${GITHUB_OUTPUT:?}"
  [ ! -f "$folder/plan.md" ] || cat "$folder/plan.md" >>"${GITHUB_STEP_SUMMARY:?}"
  case "$code" in
    0) echo "changes=false" >>"$GITHUB_OUTPUT" ;;
    2) echo "changes=true" >>"$GITHUB_OUTPUT" ;;
    *) return "$code" ;;
  esac
}

check() {
  local code=0
  mkdir -p "$folder"
  echo "folder=$folder" >>"${GITHUB_OUTPUT:?}"
  meshwright test "$path" --output junit >"$folder/junit.xml" || code=$?
  [ "$code" = 0 ] || meshwright test "$path" || code=$?
  return "$code"
}

case "$MODE" in
  validate)
    strict=()
    [ "${STRICT:-true}" != true ] || strict=(--strict)
    meshwright validate "$path" "${strict[@]}" --output github
    ;;
  plan) plan ;;
  test) check ;;
  *)
    echo "::error::mode is $MODE, which is neither validate, plan nor test"
    exit 64
    ;;
esac
