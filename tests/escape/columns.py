"""The columns of the report: who starts clade, on what kind of host, with which type of application."""

import os

import clade
import inside


class Lower:
    """A host that allows no more than `level`, imitated by what stage.c takes away."""

    def __init__(self, level, options, kind="external"):
        self.level, self.options, self.kind = level, options, kind
        self.name = f"{level}-{kind}"

    def run(self, place):
        """A run by somebody for whom the stage is set, by root where we are that."""
        become, person = (), place.who
        if os.geteuid() == 0 and not place.root:
            # root sets the stage, and then it is somebody else's
            become = ("--user", str(person.uid))
        server_place = StagedPlace(place) if become else place
        prefix = (inside.STAGE, *order(self.options, become), "--")
        running = inside.Inside(server_place, self.kind, {"minimum": self.level}, prefix,
                                plain={"minimum": self.level})
        return running.everything()


def order(options, become):
    """What needs root first, then who it is, then what nobody takes back."""
    early = [option for option in options if option == "--masked-proc"]
    return (*early, *become, *(option for option in options if option not in early))


class StagedPlace:
    """A place whose programs are started by root, since the stage is set by root."""

    def __init__(self, place):
        self.place = place

    def __getattr__(self, name):
        return getattr(self.place, name)

    def popen(self, arguments, **more):
        who, self.place.who = self.place.who, clade.Person("root", 0, 0, "root")
        try:
            return self.place.popen(arguments, **more)
        finally:
            self.place.who = who

    def start(self, configuration, options=(), prefix=(), environment=None):
        started = clade.Clade(self, configuration, options, prefix, environment)
        self.place.clades.append(started)
        return started


LOWER = (
    Lower("shared-proc", ("--masked-proc",)),
    Lower("confine", ("--no-namespaces",)),
    Lower("filter", ("--no-namespaces", "--no-landlock")),
)
