"""What a client of the tests is: a name, a version, what it needs, and flows that run in their order."""


def flow(title, *products):
    """Marks a method as a flow; with products, on these hosts only."""

    def mark(method):
        method.title, method.products = title, products
        return method

    return mark


class Client:
    """One client on one host. What needs no undoing is left to the end of its world."""

    name = ""
    # Why it is not run on a product, where it is not.
    absent = {}

    def __init__(self, world):
        self.world = world

    @classmethod
    def version(cls):
        raise NotImplementedError

    @classmethod
    def fetch(cls):
        """Makes sure of all its programs, or raises `Missing`."""

    def prepare(self):
        """What all flows start from."""

    @classmethod
    def flows(cls):
        return [method for method in vars(cls).values() if hasattr(method, "products")]
