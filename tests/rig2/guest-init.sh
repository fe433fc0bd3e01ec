#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The first process of a Linux guest of rig 2. It takes the steps that `rig.steps=` on the kernel command line names, and tells on the
# console, on lines that begin with @@, what it found:
#
#   @@step NAME        a step begins
#   @@say KEY VALUE    a fact that the test on the host judges
#   @@fail SENTENCE    something that must never happen
#   @@ask WHAT         asks the host (drive-job.sh) for something; the host answers with one line
#   @@dmesg LINE       the kernel's log, at the end
#   @@done             everything was done; the guest powers off

busybox=/bin/busybox
$busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/lib/x86_64-linux-gnu

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# Nothing but this script writes on the console.
echo 1 >/proc/sys/kernel/printk
stty -echo

say() { echo "@@say $*"; }
fail() { echo "@@fail $*"; }

ask() {
    echo "@@ask $*"
    read -r answer
    [ "$answer" = done ] || fail "the host answered '$answer' to '$*'"
}

# wait_for SECONDS COMMAND...: polls until the command succeeds.
wait_for() {
    polls=$(($1 * 5))
    shift
    while ! "$@"; do
        polls=$((polls - 1))
        [ "$polls" -gt 0 ] || return 1
        usleep 200000
    done
}

driver=/sys/bus/virtio/drivers/virtio_gpu
connector() { ls -d /sys/class/drm/card0-Virtual-1 2>/dev/null; }
preferred_mode() { head -n 1 /sys/class/drm/card0-Virtual-1/modes; }

# The drivers come up; nothing is drawn yet.
step_probe() {
    while read -r module; do
        insmod "/modules/$module.ko" || fail "insmod $module"
    done </modules/order
    wait_for 20 test -c /dev/dri/card0 || fail "there is no /dev/dri/card0"
    wait_for 20 test -c /dev/fb0 || fail "there is no /dev/fb0"
    say devices "$(ls -d "$driver"/virtio* | wc -l)"
    say status "$(cat "$(connector)/status")"
    say mode "$(preferred_mode)"
    say edid "$(wc -c <"$(connector)/edid")"
}

# Text on the console of the frame buffer.
step_console() {
    printf '\033[?25l\033[2J\033[H\n  RONDO\n' >/dev/tty1
    sleep 1
    ask shot console
}

# The frame buffer filled with a picture from the host. The text console lets go of it first, or its cursor would blink on the picture.
step_fb() {
    for console in /sys/class/vtconsole/vtcon*; do
        grep -q "frame buffer" "$console/name" && echo 0 >"$console/bind"
    done
    say fb0.size "$(cat /sys/class/graphics/fb0/virtual_size)"
    say fb0.stride "$(cat /sys/class/graphics/fb0/stride)"
    cat /picture.xrgb >/dev/fb0 || fail "cannot write /dev/fb0"
    sleep 1
    ask shot fb
}

# modetest sets a mode, shows its pattern and then waits on its standard input, which a sleeping process holds open.
# modetest_picture NAME: the picture is there while the host takes the screenshot NAME.
modetest_picture() {
    id=$(modetest -M virtio_gpu -c | awk '/Virtual-1/ { print $1; exit }')
    sleep 600 | modetest -M virtio_gpu -s "$id:#0" >/tmp/modetest 2>&1 &
    wait_for 20 modetest_waits || fail "modetest did not get to its picture: $(tr '\n' ' ' </tmp/modetest)"
    sleep 1
    ask shot "$1"
    killall sleep
    wait
}

step_modetest() { modetest_picture modetest; }

# Whether modetest sleeps in read(0, ...): system call 0, file descriptor 0.
modetest_waits() {
    pid=$(pidof modetest) && grep -q '^0 0x0 ' "/proc/$pid/syscall"
}

# The host resizes the display; the guest hears of it on its own, without anybody probing the connector.
step_resize() {
    ask resize 1024x600
    wait_for 20 mode_is 1024x600 || fail "no mode of 1024x600 appeared"
    say resized.mode "$(preferred_mode)"
}

mode_is() { [ "$(preferred_mode)" = "$1" ]; }

# The driver lets go of the device and takes it again, three times, and still draws.
step_rebind() {
    device=$(basename "$(ls -d "$driver"/virtio*)")
    for round in 1 2 3; do
        echo "$device" >"$driver/unbind" || fail "unbind $round"
        [ ! -e /sys/class/drm/card0 ] || fail "card0 outlived unbind $round"
        echo "$device" >"$driver/bind" || fail "bind $round"
        wait_for 20 test -c /dev/dri/card0 || fail "no card0 after bind $round"
    done
    say rebound.mode "$(preferred_mode)"
    modetest_picture rebound
}

say kernel "$(uname -r)"
say cpus "$(nproc)"
for word in $(cat /proc/cmdline); do
    case $word in
    rig.steps=*) steps=$(echo "${word#rig.steps=}" | tr , ' ') ;;
    esac
done
for step in $steps; do
    echo "@@step $step"
    "step_$step"
done
dmesg | sed 's/^/@@dmesg /'
echo "@@done"
poweroff -f
