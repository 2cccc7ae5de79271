"""The lab's commands, one file each: `add_arguments(parser)` and `run(options)`, thin layers over the other rooms."""
