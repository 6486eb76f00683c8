#!/bin/sh
# layer.sh DIRECTORY PACKAGE...: install packages into an overlay over this machine's own root, upper layer in
# DIRECTORY/upper. Nothing of it touches the machine: its own mount namespace, and a network namespace without
# interfaces for what the packages run themselves (/proc/sys is read-only for them).
set -eu
export d="$1" DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
shift
mkdir -p "$d/upper" "$d/work" "$d/root"
exec unshare --mount --propagation private sh -euc '
  r=$d/root
  mount -t overlay overlay -o "lowerdir=/,upperdir=$d/upper,workdir=$d/work" "$r"
  resolv=$(cat /etc/resolv.conf 2>/dev/null || true)
  mount -t proc proc "$r/proc"; mount --bind /dev "$r/dev"
  mount -t tmpfs tmpfs "$r/run"; mount -t tmpfs tmpfs "$r/tmp"
  [ -s "$r/etc/resolv.conf" ] || { rm -f "$r/etc/resolv.conf"; printf "%s\n" "$resolv" >"$r/etc/resolv.conf"; }
  printf "#!/bin/sh\nexit 101\n" >"$r/usr/sbin/policy-rc.d"; chmod +x "$r/usr/sbin/policy-rc.d"
  apt="chroot $r apt-get -qq -y --no-install-recommends -o Dpkg::Options::=--force-confnew"
  $apt install --download-only "$@" >/dev/null 2>&1 ||
    { chroot "$r" apt-get -qq update; $apt install --download-only "$@" >/dev/null; }
  umount "$r/proc"
  export r apt
  unshare --net --pid --ipc --uts --fork --kill-child sh -euc "
    mount -t proc proc \$r/proc; mount --bind \$r/proc/sys \$r/proc/sys; mount -o remount,bind,ro \$r/proc/sys
    mount -t sysfs -o ro sysfs \$r/sys
    \$apt install \"\$@\" </dev/null
    chroot \$r apt-get clean" x "$@"
' x "$@"
