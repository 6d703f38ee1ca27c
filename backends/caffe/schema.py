"""Caffe's messages, made at run time of the two .proto files in this folder.

``caffe.proto`` is BVLC Caffe's schema, ``nvcaffe.proto`` what NVIDIA's fork adds to it or
numbers otherwise. No code is generated: a reader of the small part of the language that the
two files use (proto2: messages, enums, fields with default and packed) fills in descriptors,
and protobuf makes classes of them.

protobuf is imported by the first message that is asked for.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

Flavour = Literal["caffe", "nvcaffe"]
"""Whose Caffe: BVLC's, or NVIDIA's fork."""

FLAVOURS: tuple[Flavour, ...] = ("caffe", "nvcaffe")

Message: TypeAlias = Any
"""A protobuf message: its fields are known at run time only."""

_PACKAGE = "caffe"
_TOKEN = re.compile(r"\s+|//[^\n]*|(\"[^\"]*\"|[-+.\w]+|[{}\[\]=;,])")
_SCALARS = ("double", "float", "int64", "uint64", "int32", "uint32", "bool", "string")


@cache
def message(name: str, flavour: Flavour) -> type[Message]:
    """The class of a message, ``NetParameter`` for one. Raises KeyError for unknown names."""
    from google.protobuf.message_factory import GetMessageClass

    made: type[Message] = GetMessageClass(
        _pool(flavour).FindMessageTypeByName(f"{_PACKAGE}.{name}")
    )
    return made


@cache
def _pool(flavour: Flavour) -> Any:
    from google.protobuf.descriptor_pool import DescriptorPool

    schema = _read("caffe.proto")
    if flavour == "nvcaffe":
        _lay_over(schema, _read("nvcaffe.proto"))
    pool = DescriptorPool()
    pool.Add(schema)
    return pool


def _read(name: str) -> Any:
    """The FileDescriptorProto of one of our .proto files."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    text = (files(__package__) / name).read_text(encoding="utf-8")
    tokens = (match[1] for match in _TOKEN.finditer(text) if match[1])
    schema = FileDescriptorProto(name=name, package=_PACKAGE)
    for word in tokens:
        if word == "message":
            _read_message(tokens, schema.message_type.add(name=next(tokens)))
        elif word == "enum":
            _read_enum(tokens, schema.enum_type.add(name=next(tokens)))
        else:  # syntax and package
            _skip_to(";", tokens)
    return schema


def _read_message(tokens: Iterator[str], made: Any) -> None:
    _skip_to("{", tokens)
    for word in tokens:
        if word == "}":
            return
        if word == "enum":
            _read_enum(tokens, made.enum_type.add(name=next(tokens)))
        elif word == "reserved":
            number = int(next(tokens))
            made.reserved_range.add(start=number, end=number + 1)
            _skip_to(";", tokens)
        else:
            _read_field(tokens, word, made)


def _read_field(tokens: Iterator[str], label: str, made: Any) -> None:
    kind, name, _, number = (next(tokens) for _ in range(4))
    field = made.field.add(name=name, number=int(number))
    field.label = field.Label.Value(f"LABEL_{label.upper()}")
    if kind in (*_SCALARS, "bytes"):
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
    elif kind in {enum.name for enum in made.enum_type}:
        field.type_name = f".{_PACKAGE}.{made.name}.{kind}"
    else:
        field.type_name = f".{_PACKAGE}.{kind}"
    for word in tokens:
        if word == ";":
            return
        if word == "default":
            next(tokens)
            field.default_value = next(tokens).strip('"')
        elif word == "packed":
            next(tokens)
            field.options.packed = next(tokens) == "true"


def _read_enum(tokens: Iterator[str], made: Any) -> None:
    _skip_to("{", tokens)
    for word in tokens:
        if word == "}":
            return
        next(tokens)
        made.value.add(name=word, number=int(next(tokens)))
        _skip_to(";", tokens)


def _skip_to(mark: str, tokens: Iterator[str]) -> None:
    while next(tokens) != mark:
        pass


def _lay_over(schema: Any, additions: Any) -> None:
    schema.enum_type.extend(additions.enum_type)
    messages = {made.name: made for made in schema.message_type}
    for addition in additions.message_type:
        made = messages[addition.name]
        numbers = {field.number for field in addition.field}
        numbers |= {gone.start for gone in addition.reserved_range}
        _replace(made.field, addition.field, numbers)
        _replace(made.enum_type, addition.enum_type, set())


def _replace(kept: Any, added: Any, numbers: set[int]) -> None:
    """Put ``added`` behind those of ``kept`` that share no name or number with it."""
    names = {item.name for item in added}
    left = [
        item
        for item in kept
        if item.name not in names and getattr(item, "number", None) not in numbers
    ]
    del kept[:]
    kept.extend(left)
    kept.extend(added)
