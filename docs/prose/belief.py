"""The numbers of what agents believe."""

from prose import Piece, sentence
from prose.data import read

PAGE = "docs/agents.md"


def pieces() -> list[Piece]:
    """All of them."""
    hold, curl, soc = (
        read(f"docs/belief/{task}.json")["errors"] for task in ("hold", "shift-curl", "soc")
    )
    return [
        sentence(
            PAGE,
            "On hold the position that three distilled agents of five minutes believe in is off "
            "by {ours[position_cm][0]:.2f} cm in the mean and the filter's by "
            "{filter[position_cm][0]:.2f} cm; the velocity by {ours[velocity_cm_s][0]:.2f} and "
            "{filter[velocity_cm_s][0]:.2f} cm/s.",
            ours=hold["distill"],
            filter=hold["filter"],
        ),
        sentence(
            PAGE,
            "Under the curl field it is {ours[position_cm][0]:.2f} and "
            "{filter[position_cm][0]:.2f} cm, {ours[velocity_cm_s][0]:.2f} and "
            "{filter[velocity_cm_s][0]:.2f} cm/s;",
            ours=curl["distill"],
            filter=curl["filter"],
        ),
        sentence(
            PAGE,
            "on the circuit {ours[position_cm][0]:.2f} and {filter[position_cm][0]:.2f} cm, "
            "{ours[velocity_cm_s][0]:.2f} and {filter[velocity_cm_s][0]:.2f} cm/s:",
            ours=soc["distill"],
            filter=soc["filter"],
        ),
    ]
