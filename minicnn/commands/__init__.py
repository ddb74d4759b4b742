"""What scripts and the command line run: options, run folders, and the jobs themselves."""

__all__: list[str] = []
