"""Makes a C string literal out of a Python file: embed.py INPUT OUTPUT NAME"""

import sys

source, target, name = sys.argv[1:]
with open(source, encoding="ascii") as lines, open(target, "w", encoding="ascii") as out:
    out.write(f"static const char {name}[] =\n")
    for line in lines:
        text = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
        out.write(f'        "{text}\\n"\n')
    out.write("        ;\n")
