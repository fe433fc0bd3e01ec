#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Runs every job of $SHARE/jobs in turn that has not ended already. Outputs gather in a temporary folder and are copied to $SHARE/out
# when a job has ended.

cd "$SHARE" || exit 1
for job in jobs/*; do
    name=${job#jobs/}
    [ -d "out/$name" ] && continue
    # In QEMU's emulation of SVM a guest now and then faults on an address of the first-level kernel, the one behind its VMRUN, again
    # and again, or dies of it, and the stack of that kernel was found overwritten (it panics then, and the harness boots the machine
    # again). Where that emulation is used, a guest that stood still or died has another chance, three at most; everywhere else
    # only one that stood still. What it left before is kept.
    attempt=1
    while :; do
        out=$(mktemp -d)
        echo "@@job $name, attempt $attempt"
        sh ./drive-job.sh "$job" "$out" "$(cat seconds)"
        case $(cat "$out/exit"):${EMULATED:-no} in
        timeout:* | 3:yes) [ "$attempt" -lt 4 ] || break ;;
        *) break ;;
        esac
        mkdir -p "stuck/$name-$attempt"
        cp "$out"/* "stuck/$name-$attempt/"
        rm -rf "$out"
        attempt=$((attempt + 1))
    done
    rm -rf "out/.$name"
    mkdir -p "out/.$name"
    cp "$out"/* "out/.$name/"
    mv "out/.$name" "out/$name"
    rm -rf "$out"
    echo "@@job-exit $name $(cat "out/$name/exit")"
done
