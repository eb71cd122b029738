#!/bin/busybox sh
# The first process of the emulated machine: loads KVM, mounts the file system that has the project, runs the command there.
# Serial ports: ttyS0 is the kernel's and this script's, ttyS1 the command's stdout, ttyS2 its stderr, ttyS3 its exit code.
/bin/busybox --install -s /bin
export PATH=/bin
. /settings
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r file parameters; do insmod "/modules/$file" $parameters; done < /modules/order

# One that the kernel is still looking for comes a little later.
for attempt in $(seq 50); do mount $root /host 2> /error && break; sleep 0.1; done
[ -d "/host$project" ] || { cat /error; sleep 1; poweroff -f; }
mount --bind "/host$project" /project
for each in proc sys dev; do mount --bind /$each /host/$each; done
mkdir /dev/shm
mount -t tmpfs tmpfs /host/dev/shm
mount -t tmpfs tmpfs /host/tmp
# A project below /tmp is still there.
mkdir -p "/host$project" 2> /dev/null
mount --bind /project "/host$project"
# Where the file system brings no programs of its own, these.
[ -e /host/bin/sh ] || mount --bind /bin /host/bin
mount -t debugfs debugfs /host/sys/kernel/debug
mount -t tracefs tracefs /host/sys/kernel/tracing
ip link set lo up

exec 3> /dev/ttyS1 4> /dev/ttyS2
for each in 1 2 3; do stty -F /dev/ttyS$each raw -echo; done
run() {
  env -i PATH="$path" HOME=/tmp PROJECT="$project" \
    chroot /host /bin/sh -c "cd \"\$PROJECT\" && unset PROJECT && $command" < /dev/null
  echo $? > /status
}
{ run 3>&- 4>&- | cat >&3; } 2>&1 | cat >&4
# Closing waits until the ports have sent everything.
exec 3>&- 4>&-
echo "exit code $(cat /status)" > /dev/ttyS3
poweroff -f
