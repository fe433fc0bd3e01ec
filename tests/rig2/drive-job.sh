#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Runs one guest of rig 2 under rondo and answers what it asks on its console (see guest-init.sh).
#
#   drive-job.sh JOB OUT SECONDS
#
# JOB is a file of rondo's arguments, one a line. Into the folder OUT go console.log (what the guest said), rondo.log (what rondo
# said), exit (rondo's exit code, or "timeout") and NAME.png for each screenshot the guest asked for. $RONDO is the command.

job=$1 out=$2 seconds=$3
shot=$out/screenshot.png

mkfifo "$out/in" "$out/console"
exec 3<>"$out/in"
set --
while IFS= read -r argument; do
    set -- "$@" "$argument"
done <"$job"

"$RONDO" "$@" --screenshot "$shot" --json "$out/report.json" --control "$out/control" <&3 >"$out/console" 2>"$out/rondo.log" &
pid=$!
(
    while [ "$seconds" -gt 0 ] && kill -0 "$pid"; do
        seconds=$((seconds - 1))
        sleep 1
    done
    # What each of its threads waits for, for whoever has to find out why.
    for task in /proc/"$pid"/task/*; do
        echo "$(cat "$task/comm") waits in $(cat "$task/wchan"), system call $(cat "$task/syscall")"
    done >>"$out/rondo.log" 2>&1
    kill -9 "$pid" && echo timeout >"$out/exit"
) >/dev/null 2>&1 &
watchdog=$!

# A PNG is whole once its last chunk is there.
whole() { [ -f "$1" ] && tail -c 8 "$1" | grep -q IEND; }

answer() {
    case $1 in
    shot)
        rm -f "$shot"
        kill -USR1 "$pid"
        polls=100
        while ! whole "$shot" && [ "$polls" -gt 0 ]; do
            polls=$((polls - 1))
            usleep 100000
        done
        mv "$shot" "$out/$2.png" && echo done >&3 || echo "no screenshot" >&3
        ;;
    resize)
        "$RONDO" ctl "$out/control" resize "$2" 2>>"$out/rondo.log" && echo done >&3 || echo "no resize" >&3
        ;;
    *)
        echo "unknown request $1" >&3
        ;;
    esac
}

while IFS= read -r line; do
    line=${line%"$(printf '\r')"}
    echo "$line" >>"$out/console.log"
    case $line in
    *@@ask\ *) answer ${line#*@@ask } ;;
    esac
done <"$out/console"

wait "$pid"
code=$?
wait "$watchdog"
[ -f "$out/exit" ] || echo "$code" >"$out/exit"
exec 3>&-
rm -f "$out/in" "$out/console" "$out/control"
