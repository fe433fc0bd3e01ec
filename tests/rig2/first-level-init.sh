#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The first process of the emulated machine in which rig 2 runs rondo where the real processor does not virtualise. It runs the same
# run-jobs.sh as a machine with its own KVM does, on the folder that the host shares.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /tmp /share
mount -t tmpfs tmpfs /tmp
while read -r module; do
    insmod "/modules/$module.ko" || echo "@@first-level cannot insert $module"
done </modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576 share /share || echo "@@first-level cannot mount the share"
[ -c /dev/kvm ] || echo "@@first-level has no /dev/kvm"
EMULATED=yes RONDO=/bin/rondo SHARE=/share sh /share/run-jobs.sh
cd /
sync
umount /share
reboot -f
