"""The C++ reference: what Doxygen finds in the public headers, as one page of Markdown."""
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from comments import to_markdown

INCLUDE = re.compile(r'^#include "(grapes/[^"]+)"', re.MULTILINE)
#: Comments reach the XML unchanged, because Doxygen would join the lines of an equation. An option that LibTorch's TORCH_ARG
#: declares is shown as a field.
DOXYGEN = """
QUIET = YES
WARN_IF_UNDOCUMENTED = NO
GENERATE_HTML = NO
GENERATE_LATEX = NO
GENERATE_XML = YES
XML_PROGRAMLISTING = NO
RECURSIVE = YES
EXTRACT_ALL = YES
HIDE_FRIEND_COMPOUNDS = YES
SORT_MEMBER_DOCS = NO
MARKDOWN_SUPPORT = NO
AUTOLINK_SUPPORT = NO
MACRO_EXPANSION = YES
EXPAND_ONLY_PREDEF = YES
PREDEFINED = "TORCH_ARG(T, name)=T name##_" "TORCH_MODULE(name)="
"""


def reached(source, name="grapes/grapes.h", seen=()):
    """Return the headers that a header includes, directly or indirectly, then the header itself."""
    found = list(seen)
    for header in INCLUDE.findall((source / name).read_text()):
        if header not in found:
            found = reached(source, header, found)
    return [*found, name]


def verbatim(text):
    """Return a header whose comments Doxygen passes on as they are."""
    text = re.sub(r"///< ?(.*)", r"///< @verbatim \1 @endverbatim", text)
    return re.sub(r"(?:^[ ]*///(?!<).*\n)+", lambda block: "/// @verbatim\n" + block[0] + "/// @endverbatim\n", text, flags=re.MULTILINE)


def read(source, headers):
    """Return the compounds (classes and namespaces) of Doxygen's XML."""
    with tempfile.TemporaryDirectory(prefix="grapes-headers-") as folder:
        for header in headers:
            copy = Path(folder) / header
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(verbatim((source / header).read_text()))
        settings = f"{DOXYGEN}\nINPUT = {folder}/grapes\nSTRIP_FROM_PATH = {folder}\nOUTPUT_DIRECTORY = {folder}/out\n"
        subprocess.run(["doxygen", "-"], input=settings, text=True, check=True)
        return [ET.parse(path).getroot().find("compounddef") for path in sorted(Path(folder, "out", "xml").glob("*.xml"))
                if path.name.startswith(("class", "struct", "namespace"))]


def comment(element):
    """Return the comment of a class or member as Markdown."""
    return to_markdown("\n\n".join(plain("".join(part.itertext())) for part in element.iterfind("detaileddescription//verbatim")))


def inner(element, tag):
    """Return the text of a child without the references in it."""
    child = element.find(tag)
    return "" if child is None else "".join(child.itertext())


def plain(text):
    """Return the text of a comment without its slashes."""
    return re.sub(r"^ *///? ?", "", text, flags=re.MULTILINE).strip("\n").rstrip()


def tidy(code):
    """Return Doxygen's spelling of a type or a declaration in that of this project: "const at::Tensor& z"."""
    return re.sub(r" ([&*]+)(?=\w)", r"\1 ", code.replace("< ", "<").replace(" >", ">")).replace(" &", "&").replace("={", " = {").strip()


def declaration(member):
    """Return the declaration of a function or type, a line per parameter if it is long."""
    name, result = short(member.findtext("name")), tidy(inner(member, "type"))
    if member.get("kind") == "typedef":
        return f"using {name} = {result};"
    static = "static " if member.get("static") == "yes" else ""
    arguments = re.sub(r"(\w)=", r"\1 = ", tidy(member.findtext("argsstring") or "").replace(" override", ""))
    line = f"{static}{result} {name}{arguments};".strip()
    return line if len(line) <= 90 else line.replace("(", "(\n    ", 1).replace(", ", ",\n    ")


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def table(heads, rows):
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in (heads, ["---"] * len(heads), *rows))


def fields(members):
    """Return the table of the variables of a class."""
    rows = []
    for member in members:
        kind, default = (tidy(inner(member, tag)).lstrip("= ") for tag in ("type", "initializer"))
        kind = kind.rpartition("::")[2] if kind.startswith("enum ") else kind
        rows.append([f"`{member.findtext('name').rstrip('_')}`", f"`{kind}`", f"`{default}`" if default else "", comment(member)])
    return table(("field", "type", "default", "meaning"), rows)


def enumeration(member):
    """Return an enumeration: its values, in a table if they have comments."""
    name, values = short(member.findtext("name")), [(value.findtext("name"), comment(value)) for value in member.iterfind("enumvalue")]
    if not any(meaning for _, meaning in values):
        return f"```cpp\nenum class {name} {{ {', '.join(value for value, _ in values)} }};\n```\n\n{comment(member)}"
    return f"```cpp\nenum class {name};\n```\n\n{comment(member)}\n\n" + table(("value", "meaning"), [(f"`{value}`", meaning) for value, meaning in values])


def functions(members):
    """Yield declarations with their comments. Overloads without a comment stand with the one before them."""
    shown = []
    for member in members:
        text = comment(member)
        if shown and not text and (not shown[-1][1] or member.findtext("name") == shown[-1][2]):
            shown[-1][0].append(declaration(member))
        else:
            shown.append(([declaration(member)], text, member.findtext("name")))
    for lines, text, _ in shown:
        yield "\n".join(["```cpp", *lines, "```", "", text])


def is_shown(member):
    name, arguments = member.findtext("name"), member.findtext("argsstring") or ""
    return member.get("prot") == "public" and not name.startswith(("~", "operator")) and "&&)" not in arguments


def members_of(element):
    """Return the public members of a class or namespace in the order of the header."""
    members = [member for member in element.iterfind("sectiondef/memberdef") if is_shown(member)]
    return sorted(members, key=lambda member: int(member.find("location").get("line")))


def class_part(compound):
    members = members_of(compound)
    yield comment(compound)
    for member in members:
        if member.get("kind") == "enum":
            yield enumeration(member)
    yield from functions([member for member in members if member.get("kind") == "function"])
    variables = [member for member in members if member.get("kind") == "variable"]
    yield fields(variables) if variables else ""


def entries(compounds):
    """Yield header, line, name and Markdown of everything that the headers declare."""
    for compound in compounds:
        name = compound.findtext("compoundname")
        if not name.startswith("grapes") or compound.get("prot") == "private":
            continue
        if compound.get("kind") != "namespace":
            place = compound.find("location")
            yield place.get("file"), int(place.get("line")), short(name), "\n\n".join(part for part in class_part(compound) if part)
            continue
        groups = {}
        for member in members_of(compound):
            groups.setdefault((member.find("location").get("file"), member.findtext("name")), []).append(member)
        for (header, _), members in groups.items():
            first = members[0]
            body = enumeration(first) if first.get("kind") == "enum" else "\n\n".join(functions(members))
            yield header, int(first.find("location").get("line")), short(f"{name}::{first.findtext('name')}"), body


def short(name):
    """Return a name without the namespace of the library, and a module by the name that people use: nn::Linear for LinearImpl."""
    return re.sub(r"Impl\b", "", name.removeprefix("grapes::"))


def page(root):
    """Return the page of all public headers."""
    source = root / "src"
    headers = reached(source)
    found = list(entries(read(source, headers)))
    parts = ["# C++ reference", to_markdown(plain(re.search(r"(?:^///.*\n)+", (source / headers[-1]).read_text(), re.MULTILINE)[0])),
             "A module such as `nn::Linear` holds a `nn::LinearImpl`, whose members are listed here; as with the modules of LibTorch, reach them "
             "with `->`. An option is set by a function of its name: `BackwardOptions().warn(false)`."]
    for header in headers[:-1]:
        parts.append(f"## {header.removeprefix('grapes/')}")
        about = re.search(r"((?:^///.*\n)+)namespace", (source / header).read_text(), re.MULTILINE)
        parts.append(to_markdown(plain(about[1])) if about else "")
        for _, _, name, body in sorted(entry for entry in found if entry[0] == header):
            parts += [f"### {name}", body]
    return "\n\n".join(part for part in parts if part) + "\n"
