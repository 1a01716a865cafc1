"""What README and docs name is there: links with their headings, files of the project, options, messages of the program.

    docs_check.py links                       every relative link and every path in backticks
    docs_check.py options HELP                every --option, against a file with the help texts of all commands
    docs_check.py messages                    every message of docs/troubleshooting.md, against Sources
    docs_check.py commands FILE               the commands of a document's sh blocks, as a script, to standard output

A block of commands is one fenced as sh; the comment <!-- not run: REASON --> in the line before leaves it out.
Prints what is missing and ends with 1, or with 0.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / name for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md"]]
DOCUMENTS += sorted(path for path in (ROOT / "docs").rglob("*.md"))
# Options of programs that are not ours.
FOREIGN = set(
    """--oversubscribe --bind-to --mca --hostfile --nodes --ntasks --mpi --export --build-tests --product --filter
    --skip-build --target --package-path --scratch-path --no-install-recommends --entrypoint --rm --shm-size
    --logdir""".split()
)


def blocks(text):
    """The fenced blocks of a document: language, the line before, lines."""
    lines, inside, before = text.split("\n"), None, ""
    for line in lines:
        if inside is None:
            if line.startswith("```"):
                inside = (line[3:].strip(), before, [])
            elif line.strip():
                before = line.strip()
        elif line.startswith("```"):
            yield inside
            inside, before = None, ""
        else:
            inside[2].append(line)


def prose(text):
    """A document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links():
    for document in DOCUMENTS:
        text = prose(document.read_text())
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (document.parent / name).resolve() if name else document
            if not file.exists():
                yield f"{document.name}: no such file as {target}"
            elif anchor and anchor not in map(slug, re.findall(r"^#+ (.*)$", file.read_text(), flags=re.M)):
                yield f"{document.name}: no such heading as {target}"
        for path in re.findall(r"`((?:scripts|Tests|Sources|docs|hostfiles|Examples)/[\w./*-]+)`", text):
            # My…: the name that a reader gives.
            if "/My" not in path and not list(ROOT.glob(path.rstrip("/"))):
                yield f"{document.name}: no such file as {path}"


def options(help_file):
    words = r"(?<![\w-])--[a-z][a-z0-9-]*"
    known = set(re.findall(words, pathlib.Path(help_file).read_text())) | FOREIGN
    for document in DOCUMENTS:
        if "results" in document.parts:
            continue
        # What a trainer of another kind would call it is quoted as not known.
        text = re.sub(r"`unknown option [^`]*`", "", document.read_text())
        for option in sorted(set(re.findall(words, text)) - known):
            yield f"{document.name}: no program has {option}"


def sources():
    """All of Sources, each string that is continued by + in one piece, and scripts."""
    text = "\n".join(path.read_text() for path in sorted((ROOT / "Sources").rglob("*.swift")))
    return re.sub(r'"\s*\n\s*\+ "', "", text)


# What others say, and is quoted.
OTHERS = ["There are not enough slots available in the system", "Unknown option '"]


def messages():
    text, found = sources(), 0
    table = (ROOT / "docs/troubleshooting.md").read_text()
    for line in re.findall(r"^\| (.*?) \| [\d–, ]+ \|", table, flags=re.M):
        for message in re.findall(r"`([^`]+)`", line):
            for part in re.split(r" *… *", message):
                if len(part) < 8 or part in OTHERS:
                    continue
                found += 1
                if part.strip("'; ") not in text:
                    yield f"troubleshooting.md: no source says '{part}'"
    if found < 20:
        yield f"only {found} messages were found in the tables"


def commands(document):
    print("set -euo pipefail")
    for language, before, lines in blocks((ROOT / document).read_text()):
        if language != "sh" or before.startswith("<!-- not run:"):
            continue
        continues = False
        for line in lines:
            if not continues:
                print(f"printf '%s\\n' {quoted('$ ' + line)} >&2")
            print(line)
            continues = line.endswith("\\")


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def main(what, *arguments):
    if what == "commands":
        return commands(*arguments)
    wrong = list({"links": links, "options": options, "messages": messages}[what](*arguments))
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
