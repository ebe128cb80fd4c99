"""Collect the QGIS plugin's texts into Qt's translation files, and compile those.

Texts are the literals in calls of ``tr`` and the help of the command's options. What is
translated already is kept; what is new is marked unfinished; what is gone goes.

Examples:
    python scripts/make_qgis_translation.py            update geoseg_ko.ts and geoseg_ko.qm
    python scripts/make_qgis_translation.py --check    fail if they are not current or not complete
"""

from __future__ import annotations

import argparse
import ast
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

PLUGIN = Path(__file__).resolve().parents[1] / "plugins/qgis/geoseg_qgis"
LANGUAGES = ("ko",)
CONTEXT = "geoseg"
_MAGIC = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
_HASHES, _MESSAGES = 0x42, 0x69
_END, _TRANSLATION, _SOURCE, _CONTEXT, _COMMENT = 1, 3, 6, 7, 8


def texts() -> list[str]:
    """Return every text once, in the order of modules and lines, then of options."""
    found = dict.fromkeys(_literals())
    commands = json.loads((PLUGIN / "options.json").read_text(encoding="utf-8"))["commands"]
    for command in commands.values():
        found.update(dict.fromkeys(option["help"] for option in command["options"]))
    return list(found)


def _literals() -> Iterator[str]:
    for path in sorted(PLUGIN.rglob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "tr"
        ]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            argument = call.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
            elif not isinstance(argument, ast.Name):
                msg = f"{path.name}:{call.lineno}: tr() takes a literal, fill it in afterwards"
                raise SystemExit(msg)


def known(language: str) -> dict[str, str]:
    """Return the translations that are finished."""
    path = PLUGIN / "i18n" / f"geoseg_{language}.ts"
    if not path.exists():
        return {}
    messages = ET.parse(path).getroot().iter("message")  # noqa: S314 - a file of this repository
    pairs = ((m.findtext("source") or "", m.findtext("translation") or "") for m in messages)
    return {source: translation for source, translation in pairs if translation}


def ts_document(language: str, translations: dict[str, str]) -> str:
    """Return the .ts file."""
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en")
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = CONTEXT
    for text in texts():
        message = ET.SubElement(context, "message")
        ET.SubElement(message, "source").text = text
        translation = ET.SubElement(message, "translation")
        if text in translations:
            translation.text = translations[text]
        else:
            translation.set("type", "unfinished")
    ET.indent(root, space=" ")
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n'


def qm_document(translations: dict[str, str]) -> bytes:
    """Return the .qm file that Qt reads: messages, and a table of their hashes."""
    messages, table = bytearray(), []
    for source in sorted(translations):
        table.append((_hash(source.encode()), len(messages)))
        messages += _message(source, translations[source])
    hashes = b"".join(struct.pack(">II", *entry) for entry in sorted(table))
    return _MAGIC + _section(_HASHES, hashes) + _section(_MESSAGES, bytes(messages))


def _message(source: str, translation: str) -> bytes:
    parts = (
        (_TRANSLATION, translation.encode("utf-16-be")),
        (_COMMENT, b""),
        (_SOURCE, source.encode()),
        (_CONTEXT, CONTEXT.encode()),
    )
    return b"".join(_section(tag, data) for tag, data in parts) + bytes([_END])


def _section(tag: int, data: bytes) -> bytes:
    return struct.pack(">BI", tag, len(data)) + data


def _hash(text: bytes) -> int:
    """Return the ELF hash that Qt looks messages up by."""
    value = 0
    for byte in text:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value or 1


def main() -> int:
    """Write the files, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    problems = []
    for language in LANGUAGES:
        wanted = texts()
        translations = {k: v for k, v in known(language).items() if k in wanted}
        files = {
            PLUGIN / "i18n" / f"geoseg_{language}.ts": ts_document(language, translations).encode(),
            PLUGIN / "i18n" / f"geoseg_{language}.qm": qm_document(translations),
        }
        missing = [text for text in wanted if text not in translations]
        problems += [f"{language}: not translated: {text}" for text in missing]
        for path, content in files.items():
            if not check:
                path.write_bytes(content)
            elif not path.exists() or path.read_bytes() != content:
                command = "python scripts/make_qgis_translation.py"
                problems.append(f"{path.name} is not current: run {command}")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return int(bool(problems)) if check else 0


if __name__ == "__main__":
    sys.exit(main())
