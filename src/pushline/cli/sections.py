"""What `pushline --help` shows: every command under what it is for, in a line that fits a terminal of 80 columns."""

from pathlib import Path

import click

from pushline.cli.heartbeat import WITHOUT, timed

SECTIONS = {
    "Start here": "doctor run new adopt",
    "The stages, in order": "fetch check-data train register deploy smoke load-test promote",
    "What they left": "report evidence replay evaluate registry",
    "The live release": "status releases score docs open logs keys openapi watch performance outcomes records rollback discard start stop",
    "Data and scores": "score-batch data drift profile sample",
    "Pipelines": "publish consume pipelines schedule retrain",
    "Set up": "bootstrap costs upgrade serve completion",
}
WIDTH = 62  # of what is said of a command


class Listing(click.Group):
    """A group whose commands are listed with their whole first sentence, wrapped rather than cut."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, one.get_short_help_str(200)) for name, one in sorted(self.commands.items()) if not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class Sections(click.Group):
    """The commands under their sections, each of which shows that it is still at work where it is silent for long."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Sections in the order of a user's way; a command that no section names is shown all the same."""
        width, shown = max(map(len, self.commands)), {name: one for name, one in self.commands.items() if not one.hidden}
        rest = shown.keys() - set(" ".join(SECTIONS.values()).split())
        for heading, names in {**SECTIONS, "Others": " ".join(sorted(rest))}.items():
            rows = [(f"{name:<{width}}", shown[name].get_short_help_str(WIDTH)) for name in names.split() if name in shown]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name and name not in WITHOUT and not ctx.resilient_parsing and not {"-h", "--help"} & set(rest):
            ctx.with_resource(timed(name, Path(ctx.params.get("project") or ".")))
        return name, command, rest
