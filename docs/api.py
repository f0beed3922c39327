"""How the docs show what a page exports: the signature, one table row for each parameter with its comment, and the source."""
import ast
import html
import inspect
import io
import re
import tokenize
from textwrap import dedent

from nbdev.doclinks import NbdevLookup
from nbdev.showdoc import BasicMarkdownRenderer

EMPTY = inspect.Parameter.empty


def cell(text):
    "Write a text as a cell of a table."
    return re.sub(r"\s+", " ", str(text)).replace("|", r"\|")


def plain(text):
    "Write a type or a value so that no sign of it counts as markup."
    return cell(re.sub(r"([\\`*_{}\[\]<>#$~^])", r"\\\1", str(text)))


def type_name(annotation):
    "Name a type as the code does; nothing where none is said."
    if annotation in (EMPTY, None): return ""
    return annotation.__name__ if isinstance(annotation, type) and not getattr(annotation, "__args__", None) else inspect.formatannotation(annotation).replace("typing.", "")


def value_name(value):
    "Write a default; one that is made anew each time has no name."
    if value is EMPTY: return ""
    if callable(value): return getattr(value, "__name__", type(value).__name__)
    return "..." if "0x" in repr(value) or "factory" in repr(value) else repr(value) if len(repr(value)) < 60 else "..."


def code_of(symbol):
    "Read the source of a function or class; empty where it has none."
    try: return dedent(inspect.getsource(symbol))
    except (OSError, TypeError): return ""


def comments(symbol):
    "Read the comment behind each parameter or field, on all its lines, and behind what is returned; a class has those of its bases, too."
    if inspect.isclass(symbol) and (bases := [base for base in reversed(symbol.__mro__[1:]) if base.__module__.startswith("protrek_nb")]):
        return dict(item for each in bases for item in comments(each).items()) | own_comments(symbol)
    return own_comments(symbol)


def own_comments(symbol):
    "Read the comments in the source of a symbol."
    code = code_of(symbol)
    if not code.lstrip().startswith(("@", "def ", "class ", "async def ")): return {}
    node, at = ast.parse(code).body[0], {}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT: at[token.start[0]] = token.string.lstrip("# ").strip(), token.line.lstrip().startswith("#")
    if isinstance(node, ast.ClassDef):
        init = next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)
        lines = {field.target.id: field.end_lineno for field in node.body if isinstance(field, ast.AnnAssign)} if init is None else {}
        node = init or node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, *filter(None, (node.args.vararg, node.args.kwarg))]
        lines = {arg.arg: arg.end_lineno for arg in given}
        behind = [line for line, (_, alone) in at.items() if max(lines.values(), default=node.lineno - 1) < line < node.body[0].lineno and not alone]
        if not given: behind = [line for line in at if node.lineno <= line < node.body[0].lineno]
        if behind: lines["return"] = behind[0]
    def whole(line):
        "Join a comment with the lines of comment alone that follow it."
        words, line = [at[line][0]], line + 1
        while at.get(line, ("", False))[1]: words, line = [*words, at[line][0]], line + 1
        return " ".join(words)
    return {name: whole(line) for name, line in lines.items() if line in at}


def table(symbol, signature):
    "Make the table of parameters and of what is returned; empty where nothing is said of any."
    said = comments(symbol)
    rows = [(f"`{name}`", plain(type_name(p.annotation)), plain(value_name(p.default)), cell(said.get(name, "")))
            for name, p in signature.parameters.items() if name not in ("self", "cls")]
    if "return" in said: rows.append(("*returns*", plain(type_name(signature.return_annotation)), "", cell(said["return"])))
    if not any(meaning for *_, meaning in rows): return ""
    return "\n".join(["| parameter | type | default | meaning |", "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


def short_signature(name, signature):
    "Write a call with the names of its parameters, and their defaults."
    parts = [str(p.replace(annotation=EMPTY, default=EMPTY)) + ("" if p.default is EMPTY else f"={value_name(p.default)}")
             for p in signature.parameters.values() if p.name not in ("self", "cls")]
    line = f"{name}({', '.join(parts)})"
    return line if len(line) < 100 else f"{name}(\n    " + ",\n    ".join(parts) + ",\n)"


def folded(symbol):
    "Show the code, folded."
    return f"<details><summary>Source</summary>\n\n```python\n{code.rstrip()}\n```\n\n</details>" if (code := code_of(symbol)) else ""


class TableRenderer(BasicMarkdownRenderer):
    "What `show_doc` shows; `renderer` in settings.ini names it."
    def _repr_markdown_(self):
        link = NbdevLookup().code(self.fn)
        parts = [f"{'#' * self.title_level} {self.nm}"]
        if self.sig: parts.append(f"```python\n{short_signature(self.nm, self.sig)}\n```")
        if self.docs: parts.append(self.docs)
        if self.sig: parts.append(table(self.sym, self.sig))
        parts.append(folded(self.sym))
        if link: parts.append(f'<a class="api-source" href="{html.escape(link)}">on GitHub</a>')
        return "\n\n".join(part for part in parts if part)
