"""The list of Graphviz's plug-ins, with what each can do, as ``dot -c`` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.debian.commands.machine import Machine

_FOLDER = "usr/lib/{}/graphviz"
_CONFIGURATION = "config6a"
_LIBRARY = "libgvplugin_{}.so.6"
_MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_OTHER_NAMES = {"pango": "cairo"}
_PLUGINS: Mapping[str, str] = {
    "core": """
        device: dot:dot 1, gv:dot 1, canon:dot 1, plain:dot 1, plain-ext:dot 1, xdot:xdot 1, xdot1.2:xdot 1,
            xdot1.4:xdot 1
        device: fig:fig 1
        device: ismap:map 1, cmap:map 1, imap:map 1, cmapx:map 1, imap_np:map 1, cmapx_np:map 1
        device: mp:mp -1
        device: ps:ps 1, ps2:ps 1, eps:ps 1
        device: svg:svg 1, svgz:svg 1
        device: json:json 1, json0:json 1, dot_json:json 1, xdot_json:json 1
        device: tk:tk 1
        device: vml:vml 1, vmlz:vml 1
        device: pic:pic -1
        device: pov:pov 1
        render: dot 1, xdot 1
        render: fig 1
        render: map 1
        render: mp -1
        render: ps 1
        render: svg 1
        render: json 1, json0 1, dot_json 1, xdot_json 1
        render: tk 1
        render: vml 1
        render: pic -1
        render: pov 1
        loadimage: png:svg 1, gif:svg 1, jpeg:svg 1, jpe:svg 1, jpg:svg 1, png:fig 1, gif:fig 1, jpeg:fig 1,
            jpe:fig 1, jpg:fig 1, png:vrml 1, gif:vrml 1, jpeg:vrml 1, jpe:vrml 1, jpg:vrml 1, eps:ps 1, ps:ps
            1, (lib):ps 1, png:map 1, gif:map 1, jpeg:map 1, jpe:map 1, jpg:map 1, ps:map 1, eps:map 1,
            svg:map 1, png:dot 1, gif:dot 1, jpeg:dot 1, jpe:dot 1, jpg:dot 1, ps:dot 1, eps:dot 1, svg:dot 1,
            png:xdot 1, gif:xdot 1, jpeg:xdot 1, jpe:xdot 1, jpg:xdot 1, ps:xdot 1, eps:xdot 1, svg:xdot 1,
            svg:svg 1, png:vml 1, gif:vml 1, jpeg:vml 1, jpe:vml 1, jpg:vml 1, gif:tk 1
    """,
    "dot_layout": """
        layout: dot 0
    """,
    "gd": """
        render: gd 1
        render: vrml 1
        textlayout: textlayout 2
        loadimage: gd:gd 1, gd2:gd 1, gif:gd 1, jpeg:gd 1, jpe:gd 1, jpg:gd 1, png:gd 1, xbm:gd 1, gd:ps 1,
            gd2:ps 1, gif:ps 1, jpeg:ps 1, jpg:ps 1, jpe:ps 1, png:ps 1, xbm:ps 1, gd:cairo 1, gd2:cairo 1,
            gif:cairo 1, jpeg:cairo 1, jpg:cairo 1, jpe:cairo 1, png:cairo -1, xbm:cairo 1
        device: gif:cairo 10, wbmp:cairo 5, jpe:cairo 5, jpeg:cairo 5, jpg:cairo 5, png:cairo 5, gd:cairo 5,
            gd2:cairo 5
        device: gif:gd 1, wbmp:gd 1, jpe:gd 1, jpeg:gd 1, jpg:gd 1, png:gd 1, gd:gd 1, gd2:gd 1
        device: vrml:vrml 1
    """,
    "neato_layout": """
        layout: neato 0, fdp 0, sfdp 0, twopi 0, circo 0, patchwork 0, osage 0, nop 0, nop1 0, nop2 0
    """,
    "pango": """
        render: cairo 10
        textlayout: textlayout 10
        loadimage: png:cairo 1, png:ps 2
        device: png:cairo 10, ps:cairo -10, eps:cairo -10, pdf:cairo 10, svg:cairo -10
    """,
    "visio": """
        device: vdx:visio 1
        render: visio 1
    """,
    "webp": """
        device: webp:cairo 1
        loadimage: webp:cairo 1
    """,
    "xlib": """
        device: xlib:cairo 0, x11:cairo 0
    """,
}
"""What each can do: an interface, and for each of its types a quality, of which the highest is taken."""


def plugins(machine: Machine) -> None:
    """List the plug-ins that are there."""
    folder = _FOLDER.format(_MULTIARCH.get(machine.architecture, ""))
    found = [name for name in _PLUGINS if machine.tree.stat(f"{folder}/{_LIBRARY.format(name)}") is not None]
    if found:
        text = "".join(line for name in found for line in _described(name))
        machine.tree.write(f"{folder}/{_CONFIGURATION}", text.encode())


def _described(name: str) -> Iterator[str]:
    yield f"{_LIBRARY.format(name)} {_OTHER_NAMES.get(name, name)} {{\n"
    yield from _interfaces(_PLUGINS[name])
    yield "}\n"


def _interfaces(text: str) -> Iterator[str]:
    """Read ``interface: type quality, type quality``, which goes on in lines that are further in."""
    for line in _joined(text):
        interface, _, types = line.partition(": ")
        yield f"\t{interface} {{\n"
        yield from (f"\t\t{one}\n" for one in types.split(", "))
        yield "\t}\n"


def _joined(text: str) -> list[str]:
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith(" " * 12):
            found[-1] = f"{found[-1]} {line.strip()}"
        elif line.strip():
            found.append(line.strip())
    return found
