"""The one error that users are meant to read."""


class VadError(ValueError):
    """A mistake that its maker can mend: what is wrong, naming file or argument, and the remedy.

    The command line prints it as one line and exits with code 2.
    """

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}. {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy

    def __reduce__(self):  # exceptions cross process borders by their constructor's arguments
        return type(self), (self.problem, self.remedy)
