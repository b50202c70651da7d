"""Generates edge_sdk/bundle/format/generated/edge_fields.py from edge.fbs: `make format` runs it after flatc.

flatc's Python code can read a table and cannot say which fields it has. The checked reader gets them from here, and a
device does not load flatc's code at all.
"""

from __future__ import annotations

import keyword
import re
from typing import Final

from tests.support.paths import ROOT

SCHEMA: Final = ROOT / "edge_sdk/bundle/format/edge.fbs"
GENERATED: Final = ROOT / "edge_sdk/bundle/format/generated/edge_fields.py"
SCALARS: Final = ("bool", "uint8", "uint16", "uint32", "int32", "float32", "float64")
_ZEROS: Final = {kind: False if kind == "bool" else 0.0 if kind.startswith("float") else 0 for kind in SCALARS}

_BLOCK: Final = re.compile(r"^(table|struct|enum)\s+(\w+)(?:\s*:\s*(\w+))?\s*\{(.*?)\}", re.S | re.M)
_FIELD: Final = re.compile(r"(\w+)\s*:\s*(\[?\w+\]?)\s*(=\s*null)?")


def generated() -> str:
    """Returns the text of the generated module."""
    schema = re.sub(r"//.*", "", SCHEMA.read_text(encoding="utf-8"))
    blocks = [(kind, name, base, body) for kind, name, base, body in _BLOCK.findall(schema)]
    enums = {name: base for kind, name, base, _ in blocks if kind == "enum"}
    known = {*SCALARS, "string", *(name for kind, name, _, _ in blocks if kind != "enum")}
    lines = [
        '"""The fields of each table of edge.fbs, by slot: name, type, value where absent. Made by `make format`."""',
        "",
        "FIELDS = {",
    ]
    for kind, name, _, body in blocks:
        if kind != "table":
            continue
        lines.append(f'    "{name}": (')
        for field, of, is_null in _FIELD.findall(re.sub(r"\(.*?\)", "", body)):
            bare = of.strip("[]")
            stored = enums.get(bare, bare)
            assert stored in known, f"{name}.{field}: {of} is not a type that the checked reader knows"
            absent = None if is_null or of.startswith("[") else _ZEROS.get(stored)
            lines.append(f'        ("{attribute_of(field)}", "{of.replace(bare, stored)}", {absent}),')
        lines.append("    ),")
    return "\n".join([*lines, "}", ""])


def attribute_of(field: str) -> str:
    """Returns the name that flatc gives a field in its object API: camel case, and no keyword."""
    first, *rest = field.split("_")
    camel = first + "".join(word.capitalize() for word in rest)
    return f"{camel}_" if keyword.iskeyword(camel) else camel


if __name__ == "__main__":
    GENERATED.write_text(generated(), encoding="utf-8")
