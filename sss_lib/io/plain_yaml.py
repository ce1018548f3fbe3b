"""YAML files that people write and pass on: data alone, each key once, and no larger than they look."""

import functools
import re
from pathlib import Path
from typing import Any

MOST_BYTES = 2**20
NAME = "tag:yaml.org,2002:str"
"""What YAML calls a text."""


def read_mapping(path: Path, example: str) -> dict[Any, Any]:
    """Mapping of a YAML file.

    Numbers that YAML counts in sixties or eights, such as 12:30:00 and 0755, are read as text.
    An alias is refused: ten lines of aliases of aliases stand for more than any memory holds.

    Parameters
    ----------
    path : Path
    example : str
        What such a file has, for the message if it is none.

    Raises
    ------
    ValueError
        If it isn't plain YAML in UTF-8, has a key twice, or is no mapping.
    """
    import yaml

    try:
        if (n_bytes := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"it has {n_bytes:,} bytes, more than {MOST_BYTES:,}")
        content = yaml.load(path.read_text(encoding="utf-8"), _strict())
    except RecursionError:
        raise ValueError(f"{path} is not plain YAML in UTF-8: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter is also of a number or a date that is none
        raise ValueError(f"{path} is not plain YAML in UTF-8: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a mapping: give keys such as '{example}'")
    return content


@functools.cache
def _strict() -> type:
    """Return yaml's safe loader, which takes a key that is there twice, and an alias, for a mistake."""
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()
                problem = f"*{event.anchor} stands for what is elsewhere: write it out"
                raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
            return super().compose_node(parent, index)

        def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
            tag = super().resolve(kind, value, implicit)
            is_number = tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
            # Names here; YAML 1.1 counts 12:30:00 in sixties and 0755 in eights.
            return NAME if is_number and re.match(r"[-+]?0[0-9]|.*:", value or "") else tag

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
            mapping, seen = super().construct_mapping(node, deep), set()
            for key_node, _ in node.value if len(mapping) < len(node.value) else ():
                key = self.construct_object(key_node)
                if key in seen:
                    problem = f"{key!r} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                seen.add(key)
            return mapping

    return Loader
