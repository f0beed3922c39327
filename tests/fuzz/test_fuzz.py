"""Files that were found by fuzzing are read, or refused in a sentence that names them; `make fuzz SECONDS=600` looks for more."""
import fuzz
import pytest

READERS = fuzz.readers()


@pytest.mark.parametrize("name", READERS)
def test_the_files_that_were_found(name):
    "Each file of the corpus, and each file that a reader knows."
    reader, suffix, files = READERS[name]
    for content in files: reader_reads(reader, suffix, content.encode())
    for path in sorted((fuzz.CORPUS / name).glob("*")): fuzz.judge(reader, suffix, path.read_bytes())


def reader_reads(reader, suffix, content):
    "Read a file that must not be refused."
    (path := fuzz.FOLDER / f"known{suffix}").write_bytes(content)
    reader(path)
