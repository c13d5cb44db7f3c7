"""No text out of a file steers a terminal or turns the direction of a page's text."""

import io
import unicodedata

import tensorflow as tf
from rich.table import Table
from rich.text import Text

from tfrs_scaling.cli.terminal import InertConsole
from tfrs_scaling.common.inert import inert, inert_line


class InertTest(tf.test.TestCase):
    def test_every_control_is_escaped_and_no_other_character(self) -> None:
        turning = ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
        for point in range(0x110000):
            character = chr(point)
            category = unicodedata.category(character)
            if character in "\t\n\u200b\u200c\u200d" or category[0] not in "CZ" or category == "Zs":
                self.assertEqual(inert(character), character)
            elif category in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in turning:
                self.assertRegex(inert(character), r"^\\[xurU]")
        self.assertEqual(inert_line("a\tb\nc\udcff"), r"a\tb\nc\udcff")

    def test_only_rich_steers_the_console(self) -> None:
        stream = io.StringIO()
        console = InertConsole(file=stream, force_terminal=True, color_system="truecolor", width=60)
        table = Table("\x1b]0;title\x07", title="\x9b2J")
        table.add_row("cell \x1b[31m", style="bold")
        table.add_row("[/x] [link=http://x]y[/link]")
        for printed in (table, "a line\r\x1b[2K \u202e", Text("text \x1b[5n")):
            console.print(printed, highlight=False)
        with console.status("status \x1b[7m"):
            pass
        shown = stream.getvalue()
        for part in (r"\x1b]0;title\x07", r"\x9b2J", r"cell \x1b[31m", r"a line\r\x1b[2K \u202e", r"text \x1b[5n"):
            self.assertIn(part, shown)
        self.assertIn("[/x] [link=http://x]y[/link]", shown)
        self.assertIn(r"status \x1b[7m", shown)
        self.assertIn("\x1b[1m", shown)  # rich's own bold
        for part in ("\x1b]0;title", "\x9b", "\x1b[31m", "\u202e", "\x1b[5n", "\x1b[7m"):
            self.assertNotIn(part, shown)


if __name__ == "__main__":
    tf.test.main()
