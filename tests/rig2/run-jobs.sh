#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Runs every job of $SHARE/jobs in turn. Outputs gather in a temporary folder and are copied to $SHARE/out when a job has ended.

cd "$SHARE" || exit 1
for job in jobs/*; do
    name=${job#jobs/}
    out=$(mktemp -d)
    echo "@@job $name"
    sh ./drive-job.sh "$job" "$out" "$(cat seconds)"
    # In QEMU's emulation of SVM a guest now and then faults on an address of the first-level kernel, the one behind its VMRUN, again
    # and again, and the stack of that kernel was found overwritten. No program in the machine can do that. A guest that stood
    # still has a second chance, and what it left the first time is kept.
    if [ "$(cat "$out/exit")" = timeout ]; then
        echo "@@job-again $name"
        mkdir -p "stuck/$name"
        cp "$out"/* "stuck/$name/"
        rm -rf "$out"
        out=$(mktemp -d)
        sh ./drive-job.sh "$job" "$out" "$(cat seconds)"
    fi
    mkdir -p "out/$name"
    cp "$out"/* "out/$name/"
    rm -rf "$out"
    echo "@@job-exit $name $(cat "out/$name/exit")"
done
