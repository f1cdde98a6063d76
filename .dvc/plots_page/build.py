"""Build the page that `dvc plots show` fills, with Vega's code in it: `make plots-page`.

DVC's own page loads this code from the network. So the `{scripts}` of DVC's page, which would load
it, is left out on purpose.
"""

from pathlib import Path

import vl_convert

FOLDER = Path(__file__).parent
VEGA_LITE = "5.20"


def build() -> str:
    """Return the page: the frame around Vega, Vega-Lite and Vega-Embed."""
    frame = (FOLDER / "frame.html").read_text(encoding="utf-8")
    return frame.replace("{vega}", vl_convert.javascript_bundle(vl_version=VEGA_LITE))


if __name__ == "__main__":
    (FOLDER / "page.html").write_text(build(), encoding="utf-8")
