"""Where the boxes of a graph stand, and how it is drawn."""

import xml.etree.ElementTree as ElementTree
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from baton.chain.graph import Edge, Graph, Node
from baton.showing.drawn_graph import as_svg, drawn
from baton.showing.layered import Size, placed

SIZE = Size()


@st.composite
def graphs(draw):
    """Names, each after all that it came from, and links between them."""
    names = [f"n{n}" for n in range(draw(st.integers(1, 9)))]
    possible = [(a, b) for a, b in combinations(names, 2)]
    return names, draw(
        st.lists(st.sampled_from(possible), unique=True) if possible else st.just([])
    )


@given(graphs())
def test_boxes_stand_right_of_what_they_came_from_and_apart(found):
    """No box covers another, and all of them are within the picture."""
    names, links = found
    made = placed(names, links)
    for begin, end in links:
        assert made.boxes[begin][0] + SIZE.width < made.boxes[end][0]
    for one, other in combinations(made.boxes.values(), 2):
        assert one[0] != other[0] or abs(one[1] - other[1]) >= SIZE.height
    for x, y in made.boxes.values():
        assert 0 <= x <= made.width - SIZE.width and 0 <= y <= made.height - SIZE.height


@given(graphs())
def test_lines_go_from_box_to_box_and_through_none(found):
    """One that passes a column goes between its boxes."""
    names, links = found
    made = placed(names, links)
    for (begin, end), points in made.lines.items():
        assert points[0][0] == made.boxes[begin][0] + SIZE.width
        assert points[-1][0] == made.boxes[end][0]
        for left, right in zip(points[1::2], points[2::2], strict=False):
            for x, y in made.boxes.values():
                is_passed = x == left[0] and right[0] == x + SIZE.width
                assert not (is_passed and y < left[1] < y + SIZE.height)


def test_lines_that_need_not_cross_do_not():
    """Boxes of a column are in the order of what they came from."""
    made = placed(["a", "b", "c", "d"], [("a", "d"), ("b", "c")])
    assert (made.boxes["a"][1] < made.boxes["b"][1]) == (made.boxes["d"][1] < made.boxes["c"][1])


GRAPH = Graph(
    (Node("source:t/<x>", "<x> & co", "t"), Node("table:t/1/raw.parquet", "raw", "3 rows")),
    (Edge("source:t/<x>", "table:t/1/raw.parquet", "generate"),),
)


def test_a_file_of_its_own_is_whole_and_asks_for_nothing():
    """Text from outside is escaped; what leads somewhere is a link."""
    content = as_svg(GRAPH, {"table:t/1/raw.parquet": "/tables/t/1/raw"}, "table:t/1/raw.parquet")
    root = ElementTree.fromstring(content)
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["<x> & co", "source, t", "raw", "table, 3 rows"]
    (link,) = root.iter("{http://www.w3.org/2000/svg}a")
    assert link.get("href") == "/tables/t/1/raw" and "is-marked" in content
    assert "<script" not in content and "http" not in content.replace("http://www.w3.org", "")


def test_a_part_of_a_page_has_no_style_of_its_own():
    """A page's policy takes none."""
    assert "<style" not in drawn(GRAPH) and " style=" not in drawn(GRAPH)
