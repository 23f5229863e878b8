#!/usr/bin/env bash
# The number of the pull request is asked of GitHub by the commit that ran, never read from what the run left behind.
set -euo pipefail

readonly marker='<!-- meshwright plan -->' longest=65536
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

number=$(gh api "repos/${REPOSITORY:?}/commits/${HEAD_SHA:?}/pulls" \
  --jq "[.[] | select(.state == \"open\" and .head.sha == \"$HEAD_SHA\")][0].number // empty")
if [ -z "$number" ]; then
  echo "::notice::no open pull request ends in $HEAD_SHA: nothing to comment on"
  exit 0
fi
gh run download "${RUN_ID:?}" --repo "$REPOSITORY" --name "${ARTIFACT:?}" --dir "$folder"
if [ ! -f "$folder/plan.md" ]; then
  echo "::notice::the run kept no plan"
  exit 0
fi
{
  echo "$marker"
  cat "$folder/plan.md"
} >"$folder/body.md"
if [ "$(wc -m <"$folder/body.md")" -gt "$longest" ]; then
  echo "::error::the plan is longer than a comment may be"
  exit 1
fi

mine=$(gh api --paginate "repos/$REPOSITORY/issues/$number/comments" \
  --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id" | head -n 1)
if [ -n "$mine" ]; then
  gh api --method PATCH "repos/$REPOSITORY/issues/comments/$mine" --field "body=@$folder/body.md" --silent
else
  gh api --method POST "repos/$REPOSITORY/issues/$number/comments" --field "body=@$folder/body.md" --silent
fi
