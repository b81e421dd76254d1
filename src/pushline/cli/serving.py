"""Commands that answer requests."""

import click

COMMANDS: list[click.Command] = []
