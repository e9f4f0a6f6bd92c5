"""Names in recipes and commands, of a table or the user's own as "package.module:object", and words for them."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, TypeGuard

from pumice.errors import InputError, PumiceError, ResourceError


def find(name: str, known: Mapping[str, Any], what: str) -> Any:
    """What a name means.

    Args:
        name: A key of the table, or "package.module:object". Modules are found as Python finds them, and last in
            the current folder.
        known: The table.
        what: Of what kind the names are, for messages.

    Raises:
        InputError: It is neither; the nearest names are in the message.

    Example:
        >>> find("arctan", {"arctan": 1, "triangle": 2}, "surrogate"), find("math:pi", {}, "number") > 3
        (1, True)
        >>> find("arctam", {"arctan": 1, "triangle": 2}, "surrogate")
        Traceback (most recent call last):
        pumice.errors.InputError: unknown surrogate 'arctam'; did you mean 'arctan'? There are: arctan, triangle; or \
"package.module:object" of your own
    """
    if name in known:
        return known[name]
    if not is_own(name):
        raise InputError(unknown(name, known, what) + '; or "package.module:object" of your own')
    return _imported(name, what)


def make(name: str, known: Mapping[str, Any], what: str, arguments: Mapping[str, Any], **offered: Any) -> Any:
    """What the class or function of a name makes: `find`, then `call`.

    Raises:
        InputError: See both; or what the table has cannot be made with the user's arguments.
        ResourceError: There is not enough memory for it.

    Example:
        >>> make("pair", {"pair": lambda first, second: (first, second)}, "tuple", {"second": 2}, first=1)
        (1, 2)
    """
    where = f"{what} {name!r}"
    try:
        return call(find(name, known, what), where, arguments, **offered)
    except PumiceError:
        raise
    except MemoryError as error:
        raise ResourceError(f"{where}: there is not enough memory to make it with {dict(arguments)}") from error
    except Exception as error:
        if is_own(name) or not arguments:  # the user's own code, or ours, is at fault
            raise
        raise InputError(f"{where} cannot be made with {dict(arguments)}: {error}") from error


def given_or_named(value: Any, kind: type[Any], known: Mapping[str, Callable[[], Any]], what: str) -> Any:
    """An object that is given as itself, or by a name of the table: what its class or function makes.

    Raises:
        InputError: It is neither.

    Example:
        >>> given_or_named(3, int, {"zero": int}, "number"), given_or_named("zero", int, {"zero": int}, "number")
        (3, 0)
        >>> given_or_named(int, int, {"zero": int}, "number")
        Traceback (most recent call last):
        pumice.errors.InputError: number must be an object, got the class int; give int()
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, type):
        raise InputError(f"{what} must be an object, got the class {value.__name__}; give {value.__name__}()")
    if not isinstance(value, str):
        raise InputError(f"{what} must be a name or a {kind.__name__}, got {value!r}")
    if value not in known:
        raise InputError(unknown(value, known, what))
    return known[value]()


def is_own(name: str) -> bool:
    """Whether a name is that of an object of the user's own, by its form alone.

    Example:
        >>> is_own("my_network:make"), is_own("resnet")
        (True, False)
    """
    return ":" in name


def is_class(value: object, base: type[Any]) -> TypeGuard[type[Any]]:
    """Whether a value is a class that descends from another.

    Example:
        >>> is_class(bool, int), is_class(True, int), is_class(list[int], list)
        (True, False, False)
    """
    # Python 3.10 has list[int] as an instance of type, and refuses it in issubclass.
    return issubclass(type(value), type) and issubclass(value, base)  # type: ignore[arg-type]


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """The message for a name that is in no table, with the nearest one that is.

    Example:
        >>> unknown("digit", ["digits", "mnist"], "preset")
        "unknown preset 'digit'; did you mean 'digits'? There are: digits, mnist"
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    meant = f"; did you mean {near[0]!r}? There" if near else "; there"
    return f"unknown {what} {name!r}{meant} are: {', '.join(names)}"


def counted(n: int, what: str) -> str:
    """A number and the word for it.

    Example:
        >>> counted(1, "sample"), counted(2000, "sample")
        ('1 sample', '2,000 samples')
    """
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def free_name(wanted: str, taken: Container[str]) -> str:
    """A name like the wanted one that nothing has.

    Example:
        >>> free_name("bias", ["bias", "bias_"])
        'bias__'
    """
    while wanted in taken:
        wanted += "_"
    return wanted


def call(function: Callable[..., Any], what: str, arguments: Mapping[str, Any], **offered: Any) -> Any:
    """Call with the user's arguments, and with what is offered as far as the function's signature names it.

    Args:
        function: A class or function.
        what: What it is, for messages.
        arguments: The user's own keyword arguments.
        **offered: What the caller has at hand; a function without a parameter of the name does not get it.

    Raises:
        InputError: The function does not take the arguments, or not of this type; the message lists its arguments.

    Example:
        >>> call(lambda n_classes, width=1: (n_classes, width), "network 'mine'", {"width": 3}, n_classes=10, seed=0)
        (10, 3)
    """
    if not callable(function):
        raise InputError(f"{what} is a {type(function).__name__}, and must be a class or function")
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # of functions in C, which do not tell
        return function(**arguments)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    own = [name for name, p in parameters.items() if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    given = {name: value for name, value in offered.items() if name in own or takes_all}
    allowed = ", ".join(name for name in own if name not in offered) or "none"
    if clash := [name for name in arguments if name in given]:
        raise InputError(f"{what}: {', '.join(clash)} is given by pumice; its own arguments are: {allowed}")
    missing = [n for n in arguments if n not in own] if not takes_all else []
    if missing:
        raise InputError(f"{what} takes no argument {', '.join(missing)}; its arguments are: {allowed}")
    required = [n for n in own if parameters[n].default is inspect.Parameter.empty]
    if absent := [n for n in required if n not in given and n not in arguments]:
        raise InputError(f"{what} needs the argument {', '.join(absent)}; its arguments are: {allowed}")
    try:
        return function(**given, **arguments)
    except TypeError as error:
        raise InputError(f"{what}: {error}; its arguments are: {allowed}") from error


def renamed(module: str, table: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` that gives what its old names mean.

    Args:
        module: Its name.
        table: Old name -> "package.module:name" of today.

    Example:
        >>> renamed("shapes", {"round": "math:floor"})("round")(1.5)
        1
        >>> renamed("shapes", {})("oval")
        Traceback (most recent call last):
        AttributeError: module 'shapes' has no attribute 'oval'
    """

    def find_old(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, now = table[name].partition(":")
        return getattr(import_module(place), now)

    return find_old


def look_in_current_folder() -> None:
    """Let Python find modules in the current folder too, last, so that none takes an installed package's place."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def _imported(name: str, what: str) -> Any:
    module_name, _, path = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise InputError(f'{what} {name!r}: an object of your own is named "package.module:object"')
    found: Any = _module(module_name, name, what)
    for part in path.split("."):
        if not hasattr(found, part):
            raise InputError(f"{what} {name!r}: {_file(found)} holds no {part!r}")
        found = getattr(found, part)
    return found


def _module(module_name: str, name: str, what: str) -> ModuleType:
    look_in_current_folder()
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(f"{what} {name!r}: importing {module_name} fails: {error}") from error
        raise InputError(
            f"{what} {name!r}: there is no module {error.name!r}; it is looked for where Python looks, "
            f"and in {os.getcwd()}"
        ) from error
    except Exception as error:  # whatever the user's own module raises
        raise InputError(
            f"{what} {name!r}: importing {module_name} fails: {type(error).__name__}: {error}"
        ) from error


def _file(found: Any) -> str:
    return str(getattr(found, "__file__", None) or getattr(found, "__name__", found))
