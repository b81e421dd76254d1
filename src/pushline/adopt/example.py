"""What in a repository belongs to the table that came with it, and not to any table: tests, scripts, paragraphs.

Python files say so themselves: a test module by `pytestmark = pytest.mark.example`, a single test by `@pytest.mark.example`,
any other file by the comment MARK. In pages the paragraphs stand between `<!-- example -->` and `<!-- end -->`. What only
such tests used (functions, modules, imports) goes with them.
"""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

MARK = "# belongs to the example"
PARAGRAPHS = re.compile(r"<!-- example -->\n.*?<!-- end -->\n\n?", re.DOTALL)
WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def without_example(root: Path) -> dict[str, str | None]:
    """Each file that holds something of the example, with its text without that; None for a file that is wholly of it."""
    found: dict[str, str | None] = {}
    for page in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        if PARAGRAPHS.search(text):
            found[str(page.relative_to(root))] = PARAGRAPHS.sub("", text)
    scripts = {file: file.read_text(encoding="utf-8") for folder in ("scripts", "load") for file in sorted((root / folder).glob("*.py"))}
    found |= {str(file.relative_to(root)): None for file, text in scripts.items() if is_marked(text)}
    found |= {str(file.relative_to(root)): None for file in (root / "examples").glob("*.json") if file.name != "two-rows.json"}
    return found | tests_without_example(root)


def is_marked(text: str) -> bool:
    return any(line.startswith(MARK) for line in text.splitlines())


def tests_without_example(root: Path) -> dict[str, str | None]:
    """The same for tests: marked modules, marked tests, and then whatever no test is left to use."""
    files = {file: file.read_text(encoding="utf-8") for file in sorted((root / "tests").rglob("*.py"))}
    before = dict(files)
    files = {file: cut for file, text in files.items() if (cut := without_marked(text)) is not None}
    touched = {file for file, text in files.items() if before[file] != text}
    words = Counter(word for text in files.values() for word in words_of(text))  # in how many modules each stands
    stems = Counter(word for text in before.values() for word in words_of(text))
    users = {file for file, text in before.items() if stems[file.stem] > words_of(text)[file.stem]}
    gone = True
    while gone:
        gone = False
        for file in sorted(touched & set(files)):
            cut = without_unused(files[file], words, words_of(files[file]))
            if cut != files[file]:
                words.subtract(words_of(files[file]))
                files[file], gone = cut, True
                words.update(words_of(cut))
            if not tests_anything(file, files[file]):
                words.subtract(words_of(files.pop(file)))
                gone = True
        for file in support_without_users(files, users):
            words.subtract(words_of(files.pop(file)))
            gone = True
    for file in packages_of_nothing(files):
        del files[file]
    return {str(file.relative_to(root)): files.get(file) for file, text in before.items() if files.get(file) != text}


def without_marked(text: str) -> str | None:
    """A module without its marked tests; None for a module that is marked itself."""
    if "example" not in text:
        return text
    if is_marked(text):
        return None
    tree = ast.parse(text)
    if any(isinstance(node, ast.Assign) and "pytestmark" in defined(node) and names_mark(node.value) for node in tree.body):
        return None
    marked = [node for node in tree.body if isinstance(node, ast.FunctionDef) and any(names_mark(each) for each in node.decorator_list)]
    return without_nodes(text, marked)


def names_mark(node: ast.AST) -> bool:
    """Whether an expression holds `pytest.mark.example`."""
    return any(
        isinstance(inner, ast.Attribute) and inner.attr == "example" and ast.unparse(inner.value) == "pytest.mark"
        for inner in ast.walk(node)
    )


def first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def without_nodes(text: str, nodes: Sequence[ast.stmt]) -> str:
    """A module without some of its statements, and without the comment lines that stand right above each."""
    if not nodes:
        return text
    lines = text.split("\n")
    for node in sorted(nodes, key=first_line, reverse=True):
        start, end = first_line(node) - 1, node.end_lineno or node.lineno
        while start and lines[start - 1].startswith("#"):
            start -= 1
        while end < len(lines) and not lines[end].strip():
            end += 1
        del lines[start:end]
    return spaced("\n".join(lines).rstrip("\n") + "\n")


def spaced(text: str) -> str:
    """A module with the blank lines the formatter wants: two before a definition or what follows one, no more elsewhere."""
    tree = ast.parse(text)
    lines = text.split("\n")
    for above, below in reversed(list(zip(tree.body[:-1], tree.body[1:], strict=True))):
        end, start = above.end_lineno or above.lineno, first_line(below) - 1
        while start > end and lines[start - 1].startswith("#"):
            start -= 1
        definition = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in (above, below))
        blank = start - end
        wanted = 2 if definition else min(blank, 1) if blank <= 2 else 2
        lines[end:start] = [""] * wanted
    return "\n".join(lines)


def defined(node: ast.stmt) -> set[str]:
    """The names a top-level statement makes; none where it does more than that."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
        return {target.id for target in node.targets if isinstance(target, ast.Name)}
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


@cache
def words_of(text: str) -> "Counter[str]":
    """Each word of a module, once."""
    return Counter(set(WORD.findall(text)))


def packages_of_nothing(files: dict[Path, str]) -> list[Path]:
    """The __init__.py of folders in which nothing else is left."""
    inits = [file for file in files if file.name == "__init__.py"]
    return [init for init in inits if not any(other != init and init.parent in other.parents for other in files)]


def without_unused(text: str, words: "Counter[str]", own: "Counter[str]") -> str:
    """A module without the functions, constants and imports that neither it nor another module uses.

    `words`: in how many modules each word stands, `own`: the words of this one.
    """
    tree = ast.parse(text)
    lines = text.split("\n")

    def used_beside(node: ast.stmt, name: str) -> bool:
        rest = "\n".join([*lines[: first_line(node) - 1], *lines[node.end_lineno or node.lineno :]])
        return name in WORD.findall(rest)

    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    made = {name for node in imports for name in (alias.asname or alias.name.split(".")[0] for alias in node.names)}
    unused = []
    for node in tree.body:
        names = defined(node)
        if not names or any(name.startswith(("test_", "pytest")) for name in names):
            continue
        elsewhere = any(words[name] > own[name] for name in names)
        if not elsewhere and not any(used_beside(node, name) for name in names) and not is_automatic(node):
            unused.append(node)
    if unused:
        return without_nodes(text, unused)
    body = "\n".join(line for number, line in enumerate(lines, 1) if not any(n.lineno <= number <= (n.end_lineno or 0) for n in imports))
    idle = made - set(WORD.findall(body))
    return without_imports(text, imports, idle) if idle else text


def is_automatic(node: ast.stmt) -> bool:
    """A fixture that is used without being named."""
    return any("autouse" in ast.unparse(each) for each in getattr(node, "decorator_list", []))


def without_imports(text: str, imports: list[ast.Import | ast.ImportFrom], idle: set[str]) -> str:
    lines = text.split("\n")
    for node in reversed(imports):
        kept = [alias for alias in node.names if (alias.asname or alias.name.split(".")[0]) not in idle]
        if len(kept) == len(node.names):
            continue
        node.names = kept
        lines[node.lineno - 1 : node.end_lineno] = [ast.unparse(node)] if kept else []
    return spaced("\n".join(lines))


def tests_anything(file: Path, text: str) -> bool:
    """Whether a module is worth keeping: it has a test, or is no test module."""
    return not file.name.startswith("test_") or "def test_" in text


def support_without_users(files: dict[Path, str], users: set[Path]) -> list[Path]:
    """Modules beside the tests that some module named before (`users` lists those) and none names now."""
    words = Counter(word for text in files.values() for word in words_of(text))
    kept = (file for file in files if file in users and not file.name.startswith(("test_", "conftest.", "__init__.")))
    return [file for file in kept if words[file.stem] == words_of(files[file])[file.stem]]
