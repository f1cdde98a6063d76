"""Tables as DVC's plots read them."""

from pathlib import Path

import pandas as pd

from reid.data.protocols import ANY_CAMERA, Protocol


def write_plot_table(
    table: pd.DataFrame, file: Path, protocol: Protocol, decimals: int = 6
) -> None:
    """Write a table as CSV, rounded.

    If the protocol is ``any_camera``, a column ``protocol`` says so in each row. The templates in
    ``.dvc/plots`` add it to the name of the model.
    """
    if protocol == ANY_CAMERA:
        table = table.assign(protocol="any camera")
    table.to_csv(file, index=False, float_format=f"%.{decimals}f")
