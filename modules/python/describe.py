"""What must be visible inside a root so that Python works there: found out, not known beforehand.

Runs in discovery, where everything can be read and nothing else can be done. The answer is a list of
(source, target), the target inside a root; whole directories where they are Python's own, single files
of those that are everybody's.
"""

import os
import struct
import sys

# What wheels may expect of any host and do not bring along (PEP 600), beside the C library's own parts.
WHEELS = ("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libexpat.so.1", "libatomic.so.1")

# elf(5)
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29
EM_HERE = {"x86_64": 62, "aarch64": 183, "riscv64": 243}.get(os.uname().machine)


def read_elf(path):
    """The libraries that a shared object asks for, and where it says they are: (names, directories).
    None: it is none, or not for this machine."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", head, 18)[0] != EM_HERE:
                return None
            (offset,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            file.seek(offset)
            table = file.read(size * count)
            return read_dynamic(file, [struct.unpack_from("<IIQQQQ", table, size * i)
                                       for i in range(count)])
    except (OSError, struct.error):
        return None


def read_dynamic(file, segments):
    def bytes_at(address, length):
        for kind, _, offset, start, _, size in segments:
            if kind == PT_LOAD and start <= address < start + size:
                file.seek(address - start + offset)
                return file.read(length)
        return b""

    values = []
    for kind, _, offset, _, _, size in segments:
        if kind == PT_DYNAMIC:
            file.seek(offset)
            values = list(struct.iter_unpack("<qQ", file.read(size - size % 16)))
    single = dict(values)
    strings = bytes_at(single.get(DT_STRTAB, 0), single.get(DT_STRSZ, 0))

    def string(at):
        return os.fsdecode(strings[at:strings.index(b"\0", at)])

    names = [string(value) for tag, value in values if tag == DT_NEEDED]
    where = [string(value) for tag, value in values if tag in (DT_RPATH, DT_RUNPATH)]
    return names, [part for text in where for part in text.split(":") if part]


def read_cache():
    """ldconfig's cache: where each library is, {name: path}. Its new format, alone or behind the old one."""
    magic = b"glibc-ld.so.cache1.1"
    try:
        with open("/etc/ld.so.cache", "rb") as file:
            data = file.read()
        start = data.index(magic)
        (count,) = struct.unpack_from("<I", data, start + len(magic))
        found = {}
        for i in range(count):
            flags, key, value, _, hwcap = struct.unpack_from("<iIIIQ", data, start + 48 + 24 * i)
            # Variants for particular processors are left out: the loader inside takes the plain one.
            if hwcap or flags & 0xff not in (1, 3):
                continue
            name = data[start + key:data.index(b"\0", start + key)]
            path = data[start + value:data.index(b"\0", start + value)]
            found.setdefault(os.fsdecode(name), []).append(os.fsdecode(path))
        return found
    except (OSError, ValueError, struct.error):
        return {}


class Libraries:
    """The closure of what shared objects need, by the loader's rules as far as they matter inside."""

    def __init__(self, inside):
        self.inside = inside  # whether a file is visible there anyway
        self.cache = read_cache()
        # The directory of the C library is one in which the loader looks without being told.
        self.default = os.path.dirname(self.loaded("libc.so.6") or "/usr/lib/libc.so.6")
        self.found = {}  # name: path on the host
        self.missing = set()
        self.seen = set()

    @staticmethod
    def loaded(name):
        try:
            with open("/proc/self/maps", encoding="utf-8") as maps:
                for line in maps:
                    if line.rstrip().endswith("/" + name):
                        return line.split(None, 5)[5].rstrip()
        except OSError:
            pass
        return None

    def locate(self, name, origin, where):
        for directory in where:
            directory = directory.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
            path = os.path.join(directory, name)
            if os.path.exists(path):
                return path
        paths = [*self.cache.get(name, ()), os.path.join(self.default, name),
                 os.path.join("/usr/lib", name), os.path.join("/lib", name)]
        for path in paths:
            if os.path.exists(path) and read_elf(path):
                return path
        return None

    def add(self, name, origin="", where=()):
        if name in self.found or "/" in name:
            return
        path = self.locate(name, origin, where)
        if not path:
            self.missing.add(name)
        elif self.inside(os.path.realpath(path)):
            self.follow(path)
        else:
            self.found[name] = path
            self.follow(path)

    def follow(self, path):
        path = os.path.realpath(path)
        if path in self.seen:
            return
        self.seen.add(path)
        needs = read_elf(path)
        if needs:
            for name in needs[0]:
                self.add(name, os.path.dirname(path), needs[1])

    def mounts(self):
        return [(os.path.realpath(path), os.path.join(self.default, name))
                for name, path in sorted(self.found.items())]


def beneath(path, directories):
    return any(path == directory or path.startswith(directory + "/") for directory in directories)


# Directories without shared objects, of which there are thousands: compiled modules, translations.
NOT_SEARCHED = {"__pycache__", "locale", "locales"}


def walk(directory, objects, links):
    """Collects shared objects, and symbolic links: what these lead to may have to be made visible, too."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_symlink():
                    links.append(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    if entry.name not in NOT_SEARCHED:
                        walk(entry.path, objects, links)
                elif entry.name.endswith(".so") or ".so." in entry.name:
                    objects.append(entry.path)
    except OSError:
        pass


def own_directories():
    """Python's own: the standard library, extension modules, what is installed for all applications."""
    found = []
    for path in sorted({os.path.realpath(entry) for entry in sys.path if os.path.exists(entry)}):
        if not beneath(path, found):
            found.append(path)
    return found


def time_zones():
    import sysconfig
    zones = (sysconfig.get_config_var("TZPATH") or "").split(os.pathsep)
    return [path for path in zones if os.path.isdir(path)]


def certificates():
    """OpenSSL's configuration and the directory of trusted authorities, which holds mostly links."""
    try:
        import _ssl  # ssl itself takes its time to be imported
    except ImportError:
        return []
    _, file, _, directory = _ssl.get_default_verify_paths()
    found = [os.path.join(os.path.dirname(file), "openssl.cnf"), file, directory]
    return [path for path in found if os.path.exists(path)]


def targets_of(links, inside):
    """Where links lead that would lead nowhere inside."""
    found = set()
    for link in links:
        target = os.path.realpath(link)
        # Whoever links to a directory such as /etc or /usr/share does not mean all of it to be shown.
        broad = os.path.isdir(target) and target.count("/") < 3
        if not inside(target) and not broad and os.path.exists(target):
            found.add(target)
    return found


FARM = 20  # links


def farms_of(directory):
    """Where the links in a directory of links lead. Hundreds to one directory make that visible; a few are made
    visible by themselves, since what else lies beside their targets is nobody's business."""
    leads = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_symlink():
                target = os.path.join(directory, os.readlink(entry.path))
                leads.setdefault(os.path.dirname(target), []).append(target)
    found = set()
    for place, targets in leads.items():
        place = os.path.realpath(place)
        if beneath(place, [directory]):
            continue
        if len(targets) >= FARM:
            found.add(place)
        else:
            found |= {os.path.realpath(target) for target in targets}
    return {path for path in found if os.path.exists(path) and not beneath(path, [directory])}


def describe(libpython):
    directories = own_directories()
    objects, links, mounts = [], [], {}

    def inside(path):
        return beneath(path, directories)

    for directory in directories:
        walk(directory, objects, links)

    libraries = Libraries(inside)
    libraries.follow(libpython)
    for path in objects:
        libraries.follow(path)
    for name in WHEELS:
        libraries.add(name)

    for path in [*time_zones(), *certificates()]:
        real = os.path.realpath(path)
        # By the name under which it is asked for, and by its own, which applications may know.
        mounts[path] = mounts[real] = real
        if os.path.isdir(real):
            mounts.update((target, target) for target in farms_of(real))
    for target in targets_of(links, inside):
        mounts.setdefault(target, target)
    if os.path.exists("/etc/mime.types"):
        mounts.setdefault("/etc/mime.types", os.path.realpath("/etc/mime.types"))

    result = [(path, path) for path in directories]
    result += [(source, target) for target, source in sorted(mounts.items())]
    return result + libraries.mounts()
