#!/usr/bin/env bash
# Runs every finding of this folder and says of each: holds, changed, or could not run (its packages were not to be had).
# PYTHON names the interpreter to make the temporary environments with. The exit code is 1 if any finding changed.
set -uo pipefail
cd "$(dirname "$0")" || exit 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
changed=0
for script in *.sh; do
  [ "$script" = run_all.sh ] && continue
  code=0
  bash "$script" >"$log" 2>&1 </dev/null || code=$?
  case $code in
    0) echo "${script%.sh}: holds" ;;
    1) echo "${script%.sh}: changed"; sed 's/^/    /' "$log"; changed=1 ;;
    *) echo "${script%.sh}: could not run"; tail -n 3 "$log" | sed 's/^/    /' ;;
  esac
done
exit $changed
