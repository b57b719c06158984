"""An initramfs made of files of this machine: no privilege, no mount, no device is needed to write one.

The format is the kernel's (driver-api/early-userspace/buffer-format.rst): entries in cpio's "newc" format, whose
owners and modes are whatever the headers say.
"""

import os
import pathlib
import re
import stat
import subprocess


class Image:
    def __init__(self, path):
        self.file = open(path, "wb")
        self.seen = set()
        self.number = 0

    def entry(self, name, mode, data=b"", device=(0, 0)):
        """Writes one entry, and the directories above it."""
        name = self.placed(str(name).strip("/"))
        if name in self.seen:
            return
        self.seen.add(name)
        parent = os.path.dirname(name)
        if parent:
            self.entry(parent, stat.S_IFDIR | 0o755)
        self.number += 1
        self.raw(name, mode, data, device)

    @staticmethod
    def placed(name):
        """Where the name lies when the directories above it are links, as /bin is to /usr/bin."""
        top, slash, rest = name.partition("/")
        if slash and os.path.islink("/" + top):
            return f"{os.readlink('/' + top).strip('/')}/{rest}"
        return name

    def raw(self, name, mode, data, device):
        encoded = name.encode() + b"\0"
        fields = (self.number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.file.write(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))

    def directory(self, name, mode=0o755):
        self.entry(name, stat.S_IFDIR | mode)

    def text(self, name, text, mode=0o644):
        self.entry(name, stat.S_IFREG | mode, text.encode())

    def link(self, name, target):
        self.entry(name, stat.S_IFLNK | 0o777, str(target).encode())

    def add(self, path, name=None):
        """A file of this machine at the same place, links and all that they lead to included."""
        path = pathlib.Path(path)
        if path.is_symlink():
            self.link(name or path, os.readlink(path))
            self.add(path.parent / os.readlink(path))
            return
        if path.is_dir():
            self.directory(name or path)
            return
        self.entry(name or path, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode),
                   path.read_bytes())

    def tree(self, top, leave_out=lambda path: False):
        for path in sorted(pathlib.Path(top).rglob("*")):
            if not leave_out(path) and (path.is_file() or path.is_symlink()) and path.exists():
                self.add(path)

    def program(self, path, name=None):
        """An executable or a shared object, and the libraries that the loader finds for it."""
        self.add(path, name)
        listing = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False)
        for library in re.findall(r"(/\S+) \(0x", listing.stdout):
            self.add(library)

    def finish(self):
        self.raw("TRAILER!!!", 0, b"", (0, 0))
        self.file.close()
