"""Stand-in: switches of the compiler for neuro cores."""


class CompilerOptions:
    verbose = False
    show_resource_count = False
