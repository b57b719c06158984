"""Loading an application, in the prototype, after the last lock: importing it is running it.

What is wrong with it is said in two places: one line for the event, by way of Refusal, and, where there is one,
the traceback on stderr, which is the application's log.
"""

import atexit
import os
import sys

CO_COROUTINE = 0x80  # inspect, which knows it, would cost each worker more memory than this whole file


class Refusal(Exception):
    """Why the application cannot be loaded; args: a text, and what to do about it or None."""


def show(what, error):
    """Python's own way to print a traceback, which needs nothing to be imported."""
    print(f"clade: {what}:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)
    sys.stderr.flush()


def use_home(home):
    """A virtual environment's packages, as its own interpreter would see them."""
    here = "%d.%d" % sys.version_info[:2]
    try:
        with open(os.path.join(home, "pyvenv.cfg"), encoding="utf-8") as lines:
            pairs = [line.partition("=") for line in lines]
    except OSError as error:
        raise Refusal(f"home {home} is no virtual environment: pyvenv.cfg: {error.strerror}",
                      f"make one with python{here} -m venv {home}, readable by everybody") from None
    settings = {key.strip().lower(): value.strip() for key, _, value in pairs}
    version = settings.get("version") or settings.get("version_info") or ""
    packages = os.path.join(home, sys.platlibdir, f"python{here}", "site-packages")
    if not os.path.isdir(packages):
        packages = os.path.join(home, "lib", f"python{here}", "site-packages")
    if version and version.split(".")[:2] != here.split("."):
        raise Refusal(f"home {home} is a virtual environment of Python {version}, and this is "
                      f"Python {here}",
                      f"make it anew with python{here} -m venv, or ask for "
                      f"\"type\": \"python {'.'.join(version.split('.')[:2])}\"")
    if not os.path.isdir(packages):
        raise Refusal(f"home {home} has no lib/python{here}/site-packages",
                      f"make it anew with python{here} -m venv {home}")
    import site
    if settings.get("include-system-site-packages", "false").lower() != "true":
        host = {os.path.realpath(entry) for entry in site.getsitepackages([sys.prefix])}
        sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) not in host]
    before = list(sys.path)
    sys.prefix = sys.exec_prefix = home
    site.PREFIXES[:] = [home]
    sys.executable = os.path.join(home, "bin", "python")
    site.addsitedir(packages)
    # Its packages come before the host's, where it has those at all.
    added = [entry for entry in sys.path if entry not in before]
    library = [entry for entry in before if not entry.endswith(("dist-packages", "site-packages"))]
    rest = [entry for entry in before if entry not in library]
    sys.path[:] = library + added + rest


def prepare(paths, home):
    """What the application's imports see."""
    # A pipe is no terminal, but whoever reads the log wants a line when it is written.
    if sys.stdout:
        sys.stdout.reconfigure(line_buffering=True)
    if home:
        use_home(home)
    own = os.environ.get("PYTHONPATH", "")
    sys.path[:0] = [*paths, *(entry for entry in own.split(os.pathsep) if entry)]


def explain(module, error, paths):
    """Text and remedy for an import that failed. The likely reasons, by what can be seen from here."""
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    if missing and (module == missing or module.startswith(missing + ".")):
        for path in paths:
            if not os.access(path, os.R_OK | os.X_OK):
                return (f"module \"{module}\" is not found: {path} cannot be read",
                        f"\"path\" must exist and be readable by uid {os.getuid()}, "
                        f"as which the application runs")
        where = " or ".join(paths)
        return (f"module \"{module}\" is not found" + (f" in {where}" if where else ""),
                f"\"path\" must be the directory that has {module.split('.')[0]}.py, "
                f"and \"module\" that name without .py")
    if missing:
        return (f"import of \"{module}\": it needs the module \"{missing}\", which is not there",
                "install it for this Python, or into the virtual environment that \"home\" names")
    if isinstance(error, SystemExit):
        return (f"import of \"{module}\" left by sys.exit({error.code!r})",
                "a module that is imported must come back: keep what runs a program behind "
                "if __name__ == \"__main__\"")
    return (f"import of \"{module}\": {type(error).__name__}: {error}",
            "its traceback is in the application's log")


def find(module, callable_name, factory, paths):
    """The application's callable, which may lie in a class or an object: "shop.wsgi.application"."""
    try:
        __import__(module)
    except BaseException as error:  # whatever it is, the application has not been loaded
        text, remedy = explain(module, error, paths)
        show(f"import of \"{module}\"", error)
        raise Refusal(text, remedy) from None
    found = sys.modules[module]
    for name in callable_name.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            others = [key for key, value in vars(sys.modules[module]).items()
                      if key[0] != "_" and callable(value) and not isinstance(value, type)]
            raise Refusal(f"module \"{module}\" has no \"{callable_name}\"",
                          "\"callable\" names it" + (f"; what could be meant: {', '.join(others[:8])}"
                                                     if others else "")) from None
    if factory:
        found = call_factory(module, callable_name, found)
    if not callable(found):
        raise Refusal(f"\"{callable_name}\" in module \"{module}\" cannot be called: it is of type "
                      f"{type(found).__name__}",
                      "\"callable\" must name a WSGI or ASGI application")
    return found


def call_factory(module, name, factory):
    try:
        return factory()
    except BaseException as error:
        show(f"factory \"{name}\" of \"{module}\"", error)
        raise Refusal(f"factory \"{name}\" in module \"{module}\": {type(error).__name__}: {error}",
                      "its traceback is in the application's log") from None


def is_asgi(found):
    """By its looks: a coroutine function, or something that is called with scope, receive and send."""
    while hasattr(found, "func") and hasattr(found, "keywords"):  # functools.partial
        found = found.func
    for candidate in (found, getattr(type(found), "__call__", None)):
        candidate = getattr(candidate, "__func__", candidate)
        code = getattr(candidate, "__code__", None)
        if code is None:
            continue
        names = code.co_varnames[:code.co_argcount]
        return bool(code.co_flags & CO_COROUTINE) or names[-3:] == ("scope", "receive", "send")
    return False


def lively():
    """What would not survive a clone: threads by name, or where they are."""
    frames = dict(sys._current_frames())
    threading = sys.modules.get("threading")
    here = threading.get_ident() if threading else None
    if threading is None:
        import _thread
        here = _thread.get_ident()
    names = {thread.ident: thread.name for thread in threading.enumerate()} if threading else {}
    found = []
    for ident, frame in frames.items():
        if ident == here:
            continue
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        found.append(f"{names.get(ident, 'thread without a name')} (in {frame.f_code.co_name}, {place})")
    return found


def settle():
    """The last of what is said and collected before the heap is shared. Returns what each worker has to do: an
    attribute to set, and a function to call; either can be None."""
    import gc
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    spared = spare(getattr(sys.modules.get("threading"), "_after_fork", None))
    # Random states that do not look after themselves in a clone, as random's own does.
    numpy = sys.modules.get("numpy.random")
    gc.collect()
    gc.freeze()
    return spared, numpy.seed if numpy else None


def nothing():
    """In place of a function that has nothing to do."""


def spare(function):
    """threading's hook for the child of a fork looks after threads that are not there any more. In a clone of ours
    there were none, and going through all that would cost each worker some 200 KiB of its own pages. The answer
    is what makes it whole again: workers can fork, too."""
    code = getattr(function, "__code__", None)
    if not code or code.co_freevars:
        return None
    function.__code__ = nothing.__code__
    return function, "__code__", code


def watch(number):
    """From now on this signal makes Python say where all threads are, on descriptor 2."""
    import faulthandler
    faulthandler.unregister(number)
    faulthandler.register(number, file=2, all_threads=True)


def report(what, error):
    """An exception of the application's, in the worker."""
    show(what, error)


def finish():
    """Python's own end, without taking the heap apart: that would copy all that is shared. Each step is taken where
    there is something to do: a worker may have lived for one request."""
    threading = sys.modules.get("threading")
    if threading and (threading.active_count() > 1 or getattr(threading, "_threading_atexits", True)):
        threading._shutdown()
    if atexit._ncallbacks():
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except (OSError, ValueError):
            pass
