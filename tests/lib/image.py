# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes what the machines boot from: initramfs archives in build/testbed/.

An image is made again when its recipe or one of its inputs changed."""

import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib import paths
from lib.cpio import Archive
from lib.outcome import Failed

# each with the other files it is made of
HOST_PROGRAMS = {"agent": (), "bridge": (),
                 "dma": ("attempts", "exchange", "handover", "interrupts", "luo", "memory",
                         "owner", "relay", "ring", "vectors", "vfio"),
                 "holdup": (), "igb": ("luo", "memory", "relay", "vfio"), "kexec": (),
                 "limit": (), "monitor": (), "probe": ("ring",), "ram": ("luo", "memory", "relay"),
                 "session": ("luo",), "vmm": ("luo", "memory", "relay")}
GUEST_PROGRAM = ("workload", "devices", "disk", "network", "stream")
# the kernel's own: the rest of its uapi is not for libc
UAPI = ("linux/iommufd.h", "linux/liveupdate.h", "linux/vfio.h", "misc/hlu_probe.h")
INCLUDE = re.compile(r'^#include [<"](.+)[>"]', re.M)
# of libvirt's build, by where an installation has them
LIBVIRT = {"usr/sbin/virtqemud": "src/virtqemud", "usr/bin/virt-ssh-helper": "src/virt-ssh-helper",
           "usr/bin/virsh": "tools/virsh",
           "usr/lib/libvirt/connection-driver/libvirt_driver_qemu.so": "src/libvirt_driver_qemu.so",
           "usr/libexec/libvirt_iohelper": "src/libvirt_iohelper"}
LIBVIRT_DATA = {"cpu_map": "src/cpu_map", "schemas": "src/conf/schemas"}
COPIES = paths.TESTBED / "copies"
# what libvirt has found out of the QEMU that is there
CAPABILITIES = paths.TESTBED / "capabilities"
# of the host's own disk, sparse
DISK_SIZE = "512M"
VM_FIRMWARE = ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin")


def host():
    """The host's own userspace: busybox and tests/host. The rest is on its
    disk, so to say: a jump verifies and unpacks all that is in here."""
    programs = [_program(*(paths.TESTS / "host" / f"{one}.c" for one in (name, *others)))
                for name, others in HOST_PROGRAMS.items()]
    scripts = [path for path in sorted((paths.TESTS / "host").iterdir())
               if path.suffix == ".sh"]
    inittab = paths.TESTS / "host" / "inittab"
    inputs = [paths.BUSYBOX, *programs, *scripts, inittab]
    target = paths.TESTBED / "host.cpio"
    if _fresh(target, inputs):
        return target

    archive = Archive()
    _busybox(archive)
    for name in ("dev", "proc", "sys", "run", "tmp", "share", "images", "disk", "root", "var/lib", "var/cache",
                 "var/log"):
        archive.folder(name)
    archive.device("/dev/console", 5, 1)
    archive.link("/init", "bin/busybox")
    archive.link("/var/run", "/run")
    archive.link("/var/lib/luod", "/share/luod")
    for name in ("etc", "var/lib", "var/cache", "var/log"):
        archive.link(f"/{name}/libvirt", f"/disk/{name}/libvirt")
    for name in ("usr", "lib/x86_64-linux-gnu", "lib64"):
        archive.link(f"/{name}", f"/images/{name}")
    archive.file("/etc/inittab", inittab)
    archive.file("/etc/passwd", b"root::0:0:root:/root:/bin/sh\n")
    archive.file("/etc/group", b"root:x:0:\n")
    for program in programs:
        archive.file(f"/host/{program.name}", program, 0o755)
    for source in scripts:
        archive.file(f"/host/{source.stem}", source, 0o755)
    return _write(archive, target, inputs)


@functools.cache
def disk():
    """What the host has in /images beside kernels and archives: QEMU, luod, libvirt
    and what they need, by their paths."""
    binaries = {}
    if paths.QEMU.exists():
        binaries["usr/bin/qemu-system-x86_64"] = _stripped(paths.QEMU)
    for name, source in (("luod", paths.LUOD), ("luoctl", paths.LUOCTL)):
        if source.exists():
            binaries[f"usr/bin/{name}"] = source
    built = paths.LIBVIRT / "out"
    data = {}
    if (built / LIBVIRT["usr/sbin/virtqemud"]).exists():
        binaries.update({target: built / source for target, source in LIBVIRT.items()})
        data.update({f"usr/share/libvirt/{name}/{path.name}": path
                     for name, folder in LIBVIRT_DATA.items()
                     for path in (paths.LIBVIRT / folder).iterdir() if path.is_file()})
    libraries = {f"usr/lib/{lib.name}" if built in lib.parents else str(lib).lstrip("/"): lib
                 for source in binaries.values() for lib in _libraries(source)}
    data.update({f"usr/share/qemu/{name}": paths.firmware(name) for name in VM_FIRMWARE})
    return {**binaries, **libraries, **data}


def writable(target, files):
    """A disk of the host's own: what it has there besides `files` (path on it: Path)
    it gets from the host. It outlives kernels and power cuts."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        for name in ("etc", "var/lib", "var/cache", "var/log"):
            (Path(folder) / name / "libvirt").mkdir(parents=True)
        for path, source in files.items():
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            place.chmod(source.stat().st_mode)
        _call(["mke2fs", "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", folder,
               target, DISK_SIZE])
    return target


def boot_files():
    """What a host finds in /images, by its path there."""
    return {"host.cpio": host(), "guest.cpio": guest(), "kernel-a": paths.kernel("a"),
            "kernel-b": paths.kernel("b"), **disk()}


def copies():
    """A folder with copies of all those, for hosts with libvirt. To libvirt a program
    has changed when its inode has, as with each link that is made; then it asks QEMU
    anew what that can do, which takes long in an emulator."""
    changed = False
    for name, source in boot_files().items():
        target = COPIES / name
        if not target.exists() or target.stat().st_mtime_ns != source.stat().st_mtime_ns:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target.with_name(target.name + ".new"))
            target.with_name(target.name + ".new").replace(target)
            changed = True
    if changed:
        shutil.rmtree(CAPABILITIES, ignore_errors=True)
    return COPIES


def make_all():
    """Makes what every scenario boots, before several of them want it at once."""
    boot_files()
    if (paths.LIBVIRT / "out").exists():
        copies()
    tsc_khz()


def guest():
    """The VM's: one program."""
    program = _program(*(paths.TESTS / "guest" / f"{name}.c" for name in GUEST_PROGRAM),
                       paths.TESTS / "host" / "ring.c")
    target = paths.TESTBED / "guest.cpio"
    if _fresh(target, [program]):
        return target
    archive = Archive()
    archive.folder("dev")
    archive.folder("proc")
    archive.folder("sys")
    archive.device("/dev/console", 5, 1)
    archive.file("/init", program, 0o755)
    return _write(archive, target, [program])


def tsc_khz():
    """This machine's TSC frequency, which is the emulated host's, too."""
    program = _program(paths.TESTS / "host" / "tsckhz.c")
    return int(subprocess.run([program], check=True, capture_output=True).stdout)


def selftest(name, init, files):
    """An initramfs as upstream's selftests want it: their init and `files`
    (path in the archive: Path)."""
    target = paths.TESTBED / f"selftest-{name}.cpio"
    inputs = [init, *files.values()]
    if _fresh(target, inputs):
        return target
    archive = Archive()
    for folder in ("dev", "proc", "debugfs"):
        archive.folder(folder)
    archive.device("/dev/console", 5, 1)
    archive.file("/init", init, 0o755)
    for path, source in files.items():
        archive.file(path, source, 0o755)
    return _write(archive, target, inputs)


def _busybox(archive):
    archive.file("/bin/busybox", paths.BUSYBOX, 0o755)
    listed = subprocess.run([paths.BUSYBOX, "--list"], check=True,
                            capture_output=True, text=True).stdout
    for applet in listed.split():
        if applet != "busybox":
            archive.link(f"/bin/{applet}", "busybox")


def _program(*sources):
    """A static program; it is called as its first source."""
    target = paths.TESTBED / "bin" / sources[0].stem
    own, uapi = _headers(sources)
    inputs = [*sources, *own, *(paths.built(paths.LINUX / "include/uapi" / name) for name in uapi)]
    if _fresh(target, inputs):
        return target
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-s"]
    for name in uapi:
        copy = paths.TESTBED / "include" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((paths.LINUX / "include/uapi" / name).read_bytes())
    if uapi:
        # what an installation would take out
        command += ["-I", paths.TESTBED / "include", "-D__user=", "-D__counted_by(member)="]
    target.parent.mkdir(parents=True, exist_ok=True)
    _call([*command, "-o", target, *sources])
    _stamp(target, inputs)
    return target


def _headers(sources):
    """Our own headers beside the sources, and the kernel's."""
    found, uapi = list(sources), set()
    for path in found:
        for name in INCLUDE.findall(path.read_text()):
            header = path.parent / name
            if name in UAPI:
                uapi.add(name)
            elif header.exists() and header not in found:
                found.append(header)
    return found[len(sources):], sorted(uapi)


def _stripped(binary):
    target = paths.TESTBED / "bin" / binary.name
    if not _fresh(target, [binary]):
        target.parent.mkdir(parents=True, exist_ok=True)
        _call(["strip", "-o", target, binary])
        _stamp(target, [binary])
    return target


def _libraries(binary):
    """The shared libraries of a binary with their loader, as ldd finds them."""
    found = subprocess.run(["ldd", binary], capture_output=True, text=True)
    if "not a dynamic executable" in found.stdout + found.stderr:
        return []
    if found.returncode or "not found" in found.stdout:
        raise Failed(f"ldd {binary}: {found.stdout}{found.stderr}")
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", found.stdout)]


def _call(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}:\n{done.stderr[-2000:]}")


def _write(archive, target, inputs):
    target.parent.mkdir(parents=True, exist_ok=True)
    archive.write(target)
    _stamp(target, inputs)
    return target


def _digest(inputs):
    state = hashlib.sha256()
    for path in [*inputs, Path(__file__), Path(__file__).with_name("cpio.py")]:
        stat = path.stat()
        state.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return state.hexdigest()


def _fresh(target, inputs):
    stamp = target.with_name(target.name + ".stamp")
    return target.exists() and stamp.exists() and stamp.read_text() == _digest(inputs)


def _stamp(target, inputs):
    target.with_name(target.name + ".stamp").write_text(_digest(inputs))
