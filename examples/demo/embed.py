"""page.html as two C arrays, before and behind the place where the data goes: embed.py IN OUT."""

import pathlib
import sys

MARK = b"@DATA@"


def array(name, data):
    rows = (data[i:i + 20] for i in range(0, len(data), 20))
    lines = ["        " + ", ".join(str(byte) for byte in row) + "," for row in rows]
    return f"static const unsigned char {name}[] = {{\n" + "\n".join(lines) + "\n};\n"


def main():
    parts = pathlib.Path(sys.argv[1]).read_bytes().split(MARK)
    if len(parts) != 2:
        sys.exit(f"{sys.argv[1]}: {MARK.decode()} stands there {len(parts) - 1} times, not once")
    pathlib.Path(sys.argv[2]).write_text(
        "/* Made of page.html by embed.py. */\n#pragma once\n\n"
        + array("page_before", parts[0]) + "\n" + array("page_behind", parts[1]))


if __name__ == "__main__":
    main()
